// SPDX-License-Identifier: Apache-2.0
#include "common/metrics/address.h"

#include <arpa/inet.h>

#include "absl/strings/str_cat.h"
#include "common/tls/tunnel.h"

namespace postern::metrics {

absl::StatusOr<std::string> LoopbackAddress(const std::string& text) {
  const absl::StatusOr<tls::HostPort> parsed = tls::ParseHostPort(text);
  in_addr address = {};
  if (parsed.ok() && inet_pton(AF_INET, parsed->host.c_str(), &address) == 1 &&
      ntohl(address.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET) {
    return absl::StrCat(parsed->host, ":", parsed->port);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("wants an address of 127.0.0.0/8 and a port, like 127.0.0.1:7426, not '", text,
                   "': whoever reaches it may read it"));
}

}  // namespace postern::metrics
