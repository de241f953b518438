// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/config_reader.h"

#include <sys/un.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "agent/policy/builtin_rules.h"
#include "agent/policy/rule_reader.h"
#include "common/metrics/address.h"
#include "common/tls/tunnel.h"
#include "common/yaml.h"

namespace postern::policy {
namespace {

constexpr absl::string_view kKeys[] = {
    "mode",    "ports",       "rules",     "default", "deny_errno", "raw_sockets",
    "on_stop", "redirect_to", "state_dir", "run_dir", "bpffs",      "cgroup",
    "events",  "host",        "collector", "spool",   "metrics",    "earlier_connections"};

// Each port costs a lookup's entry; 25, 465 and 587 are the usual ones.
constexpr size_t kPortsMax = 64;
// Below this a busy minute would not fit.
constexpr uint64_t kSpoolBytesMin = uint64_t{1} << 20;
// sockaddr_un holds the name and a NUL.
constexpr size_t kSocketPathMax = sizeof(sockaddr_un::sun_path) - 1;
// HOST_NAME_MAX is 64; a fully qualified name may have 253.
constexpr size_t kHostBytesMax = 253;

// Reads the keys beside the rules. The YAML reader holds the faults meanwhile.
class Section {
 public:
  Section(YamlReader& reader, const YAML::Node& map) : reader_(reader), map_(map) {}

  void Path(absl::string_view key, std::string& target, size_t room_for = 0) {
    const auto text = reader_.Text(map_, key);
    if (!text.has_value()) return;
    if (text->text.front() != '/' || text->text.find('\0') != std::string::npos) {
      reader_.AddFault(text->line,
                       absl::StrCat("'", key, "' wants an absolute path, not '", text->text, "'"));
    } else if (room_for != 0 && text->text.size() + room_for > kSocketPathMax) {
      reader_.AddFault(text->line,
                       absl::StrCat("'", key, "' is too long: a socket's path has at most ",
                                    kSocketPathMax, " bytes, its own name included"));
    } else {
      target = text->text;
    }
  }

  // As Choice, and the value if there is one.
  std::optional<std::string> OneOf(absl::string_view key,
                                   absl::Span<const absl::string_view> choices) {
    auto text = reader_.Choice(map_, key, choices);
    if (!text.has_value()) return std::nullopt;
    return std::move(text->text);
  }

  // A key of which this version does only the default.
  void OnlyDefault(absl::string_view key, absl::string_view only,
                   absl::Span<const absl::string_view> choices) {
    const auto text = reader_.Choice(map_, key, choices);
    if (text.has_value() && text->text != only) {
      reader_.AddFault(text->line, absl::StrCat("this version does not do '", key, ": ", text->text,
                                                "' yet: write ", only, " or leave the key out"));
    }
  }

 private:
  YamlReader& reader_;
  const YAML::Node& map_;
};

void ReadPorts(YamlReader& reader, const YAML::Node& root, Config& config) {
  if (!YamlReader::Has(root, "ports")) return;
  RefuseEmptyList(reader, root, "ports");
  config.ports.clear();
  for (const YamlNumber& number : reader.Numbers(root, "ports", 1, 65535)) {
    const uint16_t port = static_cast<uint16_t>(number.value);
    if (std::find(config.ports.begin(), config.ports.end(), port) == config.ports.end()) {
      config.ports.push_back(port);
    }
  }
  if (config.ports.size() > kPortsMax) {
    reader.AddFault(YamlReader::KeyLine(root, "ports"),
                    absl::StrCat("'ports' names ", config.ports.size(), " ports; at most ",
                                 kPortsMax, " can be watched"));
  }
}

void ReadEvents(YamlReader& reader, const YAML::Node& root, Config& config) {
  const auto events = reader.Text(root, "events");
  if (!events.has_value()) return;
  const bool word = events->text == "stderr" || events->text == "journal" || events->text == "none";
  if (!word && (events->text.front() != '/' || events->text.find('\0') != std::string::npos)) {
    reader.AddFault(events->line,
                    absl::StrCat("'events' is stderr, journal, none, or the absolute path of a "
                                 "file, not '",
                                 events->text, "'"));
    return;
  }
  config.events = events->text;
}

void ReadHost(YamlReader& reader, const YAML::Node& root, Config& config) {
  const auto host = reader.Text(root, "host");
  if (!host.has_value()) return;
  const bool printable = std::all_of(host->text.begin(), host->text.end(),
                                     [](char c) { return c > ' ' && c < '\x7f'; });
  if (!printable || host->text.size() > kHostBytesMax) {
    reader.AddFault(host->line, absl::StrCat("'host' wants a host's name: one word of at most ",
                                             kHostBytesMax, " ASCII characters"));
    return;
  }
  config.host = host->text;
}

void ReadCollectorTls(YamlReader& reader, const YAML::Node& collector, Config& config) {
  if (!YamlReader::Has(collector, "tls")) return;
  const YAML::Node tls = YamlReader::Get(collector, "tls");
  if (!reader.CheckMap(tls, "'tls'", {"ca", "cert", "key"})) return;
  CollectorTls& files = config.collector_tls;
  for (const auto& [key, path] :
       {std::pair("ca", &files.ca), std::pair("cert", &files.cert), std::pair("key", &files.key)}) {
    if (!YamlReader::Has(tls, key)) {
      reader.AddFault(YamlReader::KeyLine(collector, "tls"),
                      absl::StrCat("'tls' has no '", key,
                                   "': it wants ca, cert and key, or is left out after "
                                   "`posternd --enroll`"));
      continue;
    }
    const auto text = reader.Text(tls, key);
    if (!text.has_value()) continue;
    if (absl::StartsWith(text->text, "/")) {
      *path = text->text;
    } else {
      reader.AddFault(
          text->line,
          absl::StrCat("'", key, "' wants the absolute path of a file, not '", text->text, "'"));
    }
  }
}

void ReadCollector(YamlReader& reader, const YAML::Node& root, Config& config) {
  if (!YamlReader::Has(root, "collector")) return;
  const YAML::Node collector = YamlReader::Get(root, "collector");
  const int line = YamlReader::KeyLine(root, "collector");
  if (!reader.CheckMap(collector, "'collector'", {"address", "tls"})) return;
  ReadCollectorTls(reader, collector, config);
  if (!YamlReader::Has(collector, "address")) {
    reader.AddFault(line,
                    "'collector' has no address: write 'address: HOST:PORT' or "
                    "'address: unix:PATH', or leave "
                    "'collector' out to keep events on this host");
    return;
  }
  RefuseEmptyList(reader, collector, "address");
  for (const YamlText& address : reader.Texts(collector, "address")) {
    absl::string_view path = address.text;
    if (!absl::ConsumePrefix(&path, "unix:")) {
      if (const auto parsed = tls::ParseHostPort(address.text); !parsed.ok()) {
        reader.AddFault(address.line,
                        absl::StrCat("the collector's address ", parsed.status().message(),
                                     ", and no unix:PATH"));
      } else {
        config.collector_addresses.push_back(address.text);
      }
    } else if (!absl::StartsWith(path, "/") || path.find('\0') != absl::string_view::npos) {
      reader.AddFault(address.line, absl::StrCat("the collector's address '", address.text,
                                                 "' wants an absolute path after unix:"));
    } else if (path.size() > kSocketPathMax) {
      reader.AddFault(address.line, absl::StrCat("the collector's address is too long: a "
                                                 "socket's path has at most ",
                                                 kSocketPathMax, " bytes"));
    } else {
      config.collector_addresses.push_back(address.text);
    }
  }
}

void ReadSpool(YamlReader& reader, const YAML::Node& root, Config& config) {
  if (!YamlReader::Has(root, "spool")) return;
  const YAML::Node spool = YamlReader::Get(root, "spool");
  if (!reader.CheckMap(spool, "'spool'", {"max_bytes"})) return;
  const auto bytes = reader.Bytes(spool, "max_bytes");
  if (!bytes.has_value()) return;
  // SQLite counts in signed 64 bits.
  if (*bytes < kSpoolBytesMin || *bytes > uint64_t{1} << 50) {
    reader.AddFault(YamlReader::KeyLine(spool, "max_bytes"),
                    "'max_bytes' of the spool is from 1MiB to 1024TiB");
    return;
  }
  config.spool_max_bytes = *bytes;
}

void ReadMetrics(YamlReader& reader, const YAML::Node& root, Config& config) {
  const auto metrics = reader.Text(root, "metrics");
  if (!metrics.has_value()) return;
  absl::StatusOr<std::string> address = metrics::LoopbackAddress(metrics->text);
  if (address.ok()) {
    config.metrics = *std::move(address);
  } else {
    reader.AddFault(metrics->line, absl::StrCat("'metrics' ", address.status().message()));
  }
}

std::vector<Rule> BuiltInRules() {
  YamlReader reader("built-in rules");
  const YAML::Node root = reader.Parse(kBuiltInRules);
  std::vector<Rule> rules;
  for (const YAML::Node& item : reader.Items(root, "rules")) {
    Rule rule = ReadRule(reader, item);
    rule.built_in = true;
    rule.line = 0;
    for (auto* accounts : {&rule.users, &rule.groups, &rule.started_as}) {
      for (Account& account : *accounts) account.line = 0;
    }
    for (BinaryPath& exe : rule.exes) exe.line = 0;
    rules.push_back(std::move(rule));
  }
  return rules;
}

void ReadRules(YamlReader& reader, const YAML::Node& root, Config& config, Findings& findings) {
  if (!YamlReader::Has(root, "rules")) {
    config.rules = BuiltInRules();
    // A text that could not be read may well hold some.
    if (!reader.ok()) return;
    findings.Note(0, absl::StrCat("no 'rules' are written: the built-in ones hold (",
                                  absl::StrJoin(config.rules, ", ",
                                                [](std::string* out, const Rule& rule) {
                                                  absl::StrAppend(out, rule.name);
                                                }),
                                  ")"));
    return;
  }
  for (const YAML::Node& item : reader.Items(root, "rules")) {
    config.rules.push_back(ReadRule(reader, item));
  }
  const YAML::Node rules = YamlReader::Get(root, "rules");
  if (rules.IsSequence() && rules.size() == 0) {
    findings.Warn(YamlReader::KeyLine(root, "rules"),
                  "no rules at all: 'default' decides every connection");
  }
}

void ReadVerdict(YamlReader& reader, const YAML::Node& root, Config& config) {
  Section section(reader, root);
  if (const auto mode = section.OneOf("mode", {"monitor", "enforce"})) {
    config.mode = *mode == "enforce" ? Mode::kEnforce : Mode::kMonitor;
  }
  if (const auto action = section.OneOf("default", {"allow", "deny"})) {
    config.default_action = *action == "allow" ? POSTERN_ACTION_ALLOW : POSTERN_ACTION_DENY;
  }
  if (const auto error = section.OneOf("deny_errno", {"EPERM", "ECONNREFUSED", "EHOSTUNREACH"})) {
    config.deny_errno = *error == "EPERM"          ? EPERM
                        : *error == "ECONNREFUSED" ? ECONNREFUSED
                                                   : EHOSTUNREACH;
  }
  if (const auto stop = section.OneOf("on_stop", {"keep", "release"})) {
    config.on_stop = *stop == "release" ? OnStop::kRelease : OnStop::kKeep;
  }
  if (const auto earlier = section.OneOf("earlier_connections", {"record", "reset"})) {
    config.earlier_connections =
        *earlier == "reset" ? EarlierConnections::kReset : EarlierConnections::kRecord;
  }
  if (const auto raw = section.OneOf("raw_sockets", {"record", "deny"})) {
    config.raw_sockets = *raw == "deny" ? RawSockets::kDeny : RawSockets::kRecord;
  }
  section.OnlyDefault("redirect_to", "local", {"local"});
}

}  // namespace

Config ParseConfig(const std::string& file, absl::string_view text, Findings& findings) {
  Config config;
  config.file = file;
  YamlReader reader(file);
  const YAML::Node root = reader.Parse(text);
  reader.CheckMap(root, "the configuration", kKeys);

  ReadVerdict(reader, root, config);
  ReadPorts(reader, root, config);
  ReadRules(reader, root, config, findings);
  Section section(reader, root);
  section.Path("state_dir", config.state_dir);
  section.Path("run_dir", config.run_dir, absl::string_view("/admin.sock").size());
  section.Path("bpffs", config.bpffs);
  if (const auto cgroup = reader.Text(root, "cgroup"); cgroup.has_value()) {
    if (cgroup->text != "auto") section.Path("cgroup", config.cgroup);
  }
  ReadEvents(reader, root, config);
  ReadHost(reader, root, config);
  ReadCollector(reader, root, config);
  ReadSpool(reader, root, config);
  ReadMetrics(reader, root, config);

  for (const YamlFault& fault : reader.faults()) findings.Fault(fault.line, fault.message);
  return config;
}

}  // namespace postern::policy
