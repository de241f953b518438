// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/metrics/address.h"

namespace postern::server {
namespace {

constexpr absl::string_view kKeys[] = {"run_dir", "store", "retention", "metrics"};

// sockaddr_un holds 108 bytes, of which the socket's name takes some.
constexpr size_t kMaxRunDirBytes = 90;

// gRPC takes a socket's path as part of a URI and decodes '%'.
bool PlainInUri(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '/' || c == '.' || c == '-' ||
         c == '_' || c == '+' || c == '@' || c == '=' || c == ',' || c == '~';
}

void ReadRunDir(YamlReader& reader, const YAML::Node& root, CollectorConfig& config) {
  const std::optional<YamlText> run_dir = reader.Text(root, "run_dir");
  if (!run_dir) return;
  const std::string& path = run_dir->text;
  if (!absl::StartsWith(path, "/")) {
    reader.AddFault(run_dir->line,
                    absl::StrCat("'run_dir' wants an absolute path, not '", path, "'"));
  } else if (path.size() > kMaxRunDirBytes) {
    reader.AddFault(run_dir->line, absl::StrCat("'run_dir' is longer than the ", kMaxRunDirBytes,
                                                " bytes that the path of a socket leaves it"));
  } else if (!std::all_of(path.begin(), path.end(), PlainInUri)) {
    reader.AddFault(run_dir->line, "'run_dir' may hold letters, digits and /.-_+@=,~ only");
  } else {
    config.run_dir = path;
  }
}

void ReadStore(YamlReader& reader, const YAML::Node& root, CollectorConfig& config) {
  const std::optional<YamlText> store = reader.Text(root, "store");
  if (!store) return;
  absl::string_view path = store->text;
  if (absl::StartsWith(path, "clickhouse:")) {
    // The text holds a password: not repeated.
    reader.AddFault(store->line,
                    "'store': ClickHouse is not available in this version; name a file: "
                    "sqlite:/var/lib/postern-collector/events.db");
  } else if (!absl::ConsumePrefix(&path, "sqlite:") || !absl::StartsWith(path, "/") ||
             absl::EndsWith(path, "/")) {
    reader.AddFault(store->line,
                    "'store' wants sqlite: and an absolute path, like "
                    "sqlite:/var/lib/postern-collector/events.db");
  } else {
    config.sqlite_path = std::string(path);
  }
}

void ReadMetrics(YamlReader& reader, const YAML::Node& root, CollectorConfig& config) {
  const std::optional<YamlText> metrics = reader.Text(root, "metrics");
  if (!metrics) return;
  absl::StatusOr<std::string> address = metrics::LoopbackAddress(metrics->text);
  if (address.ok()) {
    config.metrics = *std::move(address);
  } else {
    reader.AddFault(metrics->line, absl::StrCat("'metrics' ", address.status().message()));
  }
}

CollectorConfig FromDocument(YamlReader& reader, const YAML::Node& root,
                             std::vector<YamlFault>& faults) {
  CollectorConfig config;
  std::vector<absl::string_view> keys(std::begin(kKeys), std::end(kKeys));
  keys.insert(keys.end(), std::begin(kTrustKeys), std::end(kTrustKeys));
  reader.CheckMap(root, "the configuration", keys);
  ReadRunDir(reader, root, config);
  config.trust = ReadTrust(reader, root);
  ReadStore(reader, root, config);
  ReadMetrics(reader, root, config);
  if (const std::optional<absl::Duration> retention = reader.Duration(root, "retention")) {
    config.retention = *retention;
  }
  const std::vector<YamlFault> found = reader.faults();
  faults.insert(faults.end(), found.begin(), found.end());
  return config;
}

}  // namespace

CollectorConfig ReadCollectorConfig(const std::string& file, std::vector<YamlFault>& faults) {
  YamlReader reader(file);
  const YAML::Node root = reader.Load();
  return FromDocument(reader, root, faults);
}

CollectorConfig ParseCollectorConfig(const std::string& file, absl::string_view text,
                                     std::vector<YamlFault>& faults) {
  YamlReader reader(file);
  const YAML::Node root = reader.Parse(text);
  return FromDocument(reader, root, faults);
}

}  // namespace postern::server
