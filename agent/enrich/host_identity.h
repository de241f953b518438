// SPDX-License-Identifier: Apache-2.0
// Which host, which installation, which boot.
#ifndef POSTERN_AGENT_ENRICH_HOST_IDENTITY_H_
#define POSTERN_AGENT_ENRICH_HOST_IDENTITY_H_

#include <string>

#include "absl/status/statusor.h"

namespace postern::enrich {

struct HostIdentity {
  std::string host;
  std::string agent;  // 32 hexadecimal digits, kept in STATE_DIR/agent-id
  std::string boot;   // /proc/sys/kernel/random/boot_id
};

// `configured_host` is used where it is not empty, else the machine's own name.
// Makes an agent id at the first start; one that is garbled is made anew.
absl::StatusOr<HostIdentity> IdentifyHost(const std::string& state_dir,
                                          const std::string& configured_host);

}  // namespace postern::enrich

#endif  // POSTERN_AGENT_ENRICH_HOST_IDENTITY_H_
