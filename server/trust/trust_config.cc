// SPDX-License-Identifier: Apache-2.0
#include "server/trust/trust_config.h"

#include <arpa/inet.h>

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/tls/tunnel.h"

namespace postern::server {
namespace {

constexpr absl::string_view kTlsKeys[] = {"ca", "cert", "key", "crl"};
constexpr absl::string_view kPkiKeys[] = {"dir", "lifetime"};
constexpr absl::string_view kRoleKeys[] = {"name", "role", "hosts"};
constexpr absl::string_view kRoleNames[] = {"agent", "operator"};
constexpr absl::string_view kLimitKeys[] = {"connections", "connections_per_agent",
                                            "bytes_per_second"};
// Shorter ones would be renewed without pause; longer ones are not short-lived.
constexpr absl::Duration kMinLifetime = absl::Seconds(10);
constexpr absl::Duration kMaxLifetime = absl::Hours(24 * 366);

bool IsAddress(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

void ReadListen(YamlReader& reader, const YAML::Node& root, TrustConfig& config) {
  for (const YamlText& listen : reader.Texts(root, "listen")) {
    const absl::StatusOr<tls::HostPort> address = tls::ParseHostPort(listen.text);
    if (!address.ok() || !IsAddress(address->host)) {
      reader.AddFault(listen.line, absl::StrCat("'listen' wants ADDRESS:PORT, like 0.0.0.0:7425 or "
                                                "\"[::]:7425\", not '",
                                                listen.text, "'"));
      continue;
    }
    config.listen.push_back(listen.text);
    config.files_line = YamlReader::KeyLine(root, "listen");
  }
}

void ReadPath(YamlReader& reader, const YAML::Node& map, absl::string_view key, std::string& path) {
  const std::optional<YamlText> text = reader.Text(map, key);
  if (!text) return;
  if (absl::StartsWith(text->text, "/")) {
    path = text->text;
    return;
  }
  reader.AddFault(text->line,
                  absl::StrCat("'", key, "' wants an absolute path, not '", text->text, "'"));
}

void ReadTls(YamlReader& reader, const YAML::Node& root, TrustConfig& config) {
  if (!YamlReader::Has(root, "tls")) return;
  const YAML::Node tls = YamlReader::Get(root, "tls");
  const size_t faults = reader.fault_count();
  if (!reader.CheckMap(tls, "'tls'", kTlsKeys)) return;
  config.files_line = YamlReader::KeyLine(root, "tls");
  // What is missing may be what was misspelt.
  const bool known = reader.fault_count() == faults;
  ReadPath(reader, tls, "ca", config.files.ca);
  ReadPath(reader, tls, "cert", config.files.cert);
  ReadPath(reader, tls, "key", config.files.key);
  ReadPath(reader, tls, "crl", config.files.crl);
  for (const absl::string_view key : {"ca", "cert", "key"}) {
    if (!known || YamlReader::Has(tls, key)) continue;
    reader.AddFault(YamlReader::KeyLine(root, "tls"),
                    absl::StrCat("'tls' has no '", key, "': it wants ca, cert and key"));
  }
}

void ReadPki(YamlReader& reader, const YAML::Node& root, TrustConfig& config) {
  if (!YamlReader::Has(root, "pki")) return;
  const int line = YamlReader::KeyLine(root, "pki");
  if (YamlReader::Has(root, "tls")) {
    reader.AddFault(line, "'pki' is Postern's CA and 'tls' another one: keep one of them");
  }
  const YAML::Node pki = YamlReader::Get(root, "pki");
  if (!reader.CheckMap(pki, "'pki'", kPkiKeys)) return;
  if (YamlReader::Has(pki, "dir")) config.files_line = line;
  ReadPath(reader, pki, "dir", config.pki_folder);
  const std::optional<absl::Duration> lifetime = reader.Duration(pki, "lifetime");
  if (!lifetime) return;
  if (*lifetime < kMinLifetime || *lifetime > kMaxLifetime) {
    reader.AddFault(YamlReader::KeyLine(pki, "lifetime"),
                    "'lifetime' of a certificate is from 10s to 366d");
    return;
  }
  config.lifetime = *lifetime;
}

void ReadRoles(YamlReader& reader, const YAML::Node& root, TrustConfig& config) {
  for (const YAML::Node& item : reader.Items(root, "roles")) {
    if (!reader.CheckMap(item, "a role", kRoleKeys)) continue;
    const std::optional<YamlText> name = reader.Text(item, "name");
    const std::optional<YamlText> role = reader.Choice(item, "role", kRoleNames);
    const int line = YamlReader::Line(item);
    if (!YamlReader::Has(item, "name")) {
      reader.AddFault(line, "a role has no 'name': whose certificate it is for");
    }
    if (!YamlReader::Has(item, "role")) {
      reader.AddFault(line, "a role has no 'role': agent or operator");
    }
    RoleRule rule;
    // An empty list would bind to nobody, or to all: neither was said.
    const std::vector<YamlText> hosts = reader.Texts(item, "hosts");
    if (YamlReader::Has(item, "hosts") && hosts.empty()) {
      reader.AddFault(YamlReader::KeyLine(item, "hosts"), "'hosts' of a role is empty");
    }
    for (const YamlText& host : hosts) rule.hosts.push_back(host.text);
    if (!name || !role) continue;
    rule.name = name->text;
    rule.role = role->text == "agent" ? pki::Role::kAgent : pki::Role::kOperator;
    config.roles.push_back(rule);
  }
}

void ReadLimits(YamlReader& reader, const YAML::Node& root, TrustConfig& config) {
  if (!YamlReader::Has(root, "limits")) return;
  const YAML::Node limits = YamlReader::Get(root, "limits");
  if (!reader.CheckMap(limits, "'limits'", kLimitKeys)) return;
  if (const auto all = reader.Number(limits, "connections", 1, 100'000)) {
    config.connections = all->value;
  }
  if (const auto each = reader.Number(limits, "connections_per_agent", 1, 1000)) {
    config.connections_per_agent = each->value;
  }
  if (const auto bytes = reader.Bytes(limits, "bytes_per_second")) {
    config.bytes_per_second = *bytes;
    // Less than one message a second.
    if (*bytes < uint64_t{1} << 20) {
      reader.AddFault(YamlReader::KeyLine(limits, "bytes_per_second"),
                      "'bytes_per_second' is at least 1MiB");
    }
  }
}

}  // namespace

TrustConfig ReadTrust(YamlReader& reader, const YAML::Node& root) {
  TrustConfig config;
  ReadListen(reader, root, config);
  ReadTls(reader, root, config);
  ReadPki(reader, root, config);
  ReadRoles(reader, root, config);
  ReadLimits(reader, root, config);
  return config;
}

}  // namespace postern::server
