// SPDX-License-Identifier: Apache-2.0
// Where connections over TCP come in. Checks who they are, before anything that
// they send is looked at, and hands them on as plain sockets: an agent's to what
// takes events, an operator's to what answers questions, that of somebody without
// a certificate to what enrols. So an agent cannot even ask.
//
// One thread does all of it, without blocking. docs/adr/0003-tls-at-the-door.md
// says why it is not gRPC's own TLS.
#ifndef POSTERN_SERVER_TRUST_DOOR_H_
#define POSTERN_SERVER_TRUST_DOOR_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "common/pki/revocations.h"
#include "common/unique_fd.h"
#include "server/metrics/figures.h"
#include "server/trust/conduct.h"
#include "server/trust/peers.h"
#include "server/trust/trust_config.h"

namespace postern::server {

class Door {
 public:
  // What is behind the door. Called by its thread; no role: without a certificate.
  struct Inside {
    // Takes a connection as a socket that does not block.
    std::function<void(std::optional<pki::Role> role, UniqueFd connection)> take;
    // The most that one message of it may have.
    std::function<size_t(std::optional<pki::Role> role)> max_message_bytes;
  };

  // Listens when it returns. `peers`, `conduct` and `figures`, in which it counts whom it
  // turns away, outlive it; of `config.listen` there is one at least.
  static absl::StatusOr<std::unique_ptr<Door>> Open(const TrustConfig& config, Peers* peers,
                                                    Conduct* conduct, Figures* figures,
                                                    Inside inside);
  // Nothing is handed over any more; connections are cut.
  virtual ~Door() = default;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_DOOR_H_
