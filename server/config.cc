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

constexpr absl::string_view kKeys[] = {"run_dir", "store", "store_password_file", "retention",
                                       "metrics"};

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
  if (clickhouse::LooksLikeServerAddress(path)) {
    absl::StatusOr<clickhouse::ServerAddress> address = clickhouse::ParseServerAddress(path);
    if (address.ok()) {
      config.clickhouse = *std::move(address);
    } else {
      reader.AddFault(store->line, absl::StrCat("'store' wants ", address.status().message()));
    }
  } else if (!absl::ConsumePrefix(&path, "sqlite:") || !absl::StartsWith(path, "/") ||
             absl::EndsWith(path, "/")) {
    reader.AddFault(store->line,
                    "'store' wants sqlite: and an absolute path, like "
                    "sqlite:/var/lib/postern-collector/events.db, or clickhouse://");
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

void ReadStorePassword(YamlReader& reader, const YAML::Node& root, CollectorConfig& config) {
  const std::optional<YamlText> file = reader.Text(root, "store_password_file");
  if (!file) return;
  if (!absl::StartsWith(file->text, "/")) {
    reader.AddFault(file->line, "'store_password_file' wants an absolute path");
  } else if (!config.clickhouse) {
    reader.AddFault(file->line, "'store_password_file' is for a 'store' of clickhouse:// alone");
  } else if (!config.clickhouse->password.empty()) {
    reader.AddFault(file->line,
                    "'store_password_file' and a password in 'store': keep one of them");
  } else {
    config.store_password_file = file->text;
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
  ReadStorePassword(reader, root, config);
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
