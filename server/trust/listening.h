// SPDX-License-Identifier: Apache-2.0
// Sockets that listen over TCP, and what comes in at them. None of them blocks.
#ifndef POSTERN_SERVER_TRUST_LISTENING_H_
#define POSTERN_SERVER_TRUST_LISTENING_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/unique_fd.h"

namespace postern::server {

// `address`: of `listen` in the configuration, like "[::]:7425". "[::]" takes nothing
// of IPv4, so that "0.0.0.0" may stand beside it.
absl::StatusOr<UniqueFd> ListenOn(const std::string& address);

struct Caller {
  UniqueFd socket;      // tells by itself when its peer is gone without a word
  std::string address;  // without the port
};
// The next one that waits; none where none does. An error: there is no descriptor or
// no memory for it, and it goes on waiting.
absl::StatusOr<std::optional<Caller>> Accept(int listening);

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_LISTENING_H_
