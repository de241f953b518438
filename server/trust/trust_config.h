// SPDX-License-Identifier: Apache-2.0
// What the collector's configuration says of connections over TLS.
#ifndef POSTERN_SERVER_TRUST_TRUST_CONFIG_H_
#define POSTERN_SERVER_TRUST_TRUST_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/pki/authority.h"
#include "common/tls/context.h"
#include "common/yaml.h"
#include "server/trust/bearer.h"

namespace postern::server {

struct TrustConfig {
  // "192.0.2.1:7425", "[::]:7425". Empty: no TCP at all.
  std::vector<std::string> listen;
  // Of an own CA. Empty paths: Postern's, in `pki_folder`.
  tls::Files files;
  std::string pki_folder = pki::kDefaultFolder;
  // The line that names either, or has need of them; 0: nobody does.
  int files_line = 0;
  // Of an agent's certificate.
  absl::Duration lifetime = absl::Hours(24 * 7);
  std::vector<RoleRule> roles;

  size_t connections = 4096;
  size_t connections_per_agent = 4;                // of one name; an operator has twice as many
  uint64_t bytes_per_second = uint64_t{16} << 20;  // of one name, received

  bool own_ca() const { return !files.ca.empty(); }
};

// Keys of the configuration's top that belong here.
inline constexpr absl::string_view kTrustKeys[] = {"listen", "tls", "pki", "roles", "limits"};

TrustConfig ReadTrust(YamlReader& reader, const YAML::Node& root);

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_TRUST_CONFIG_H_
