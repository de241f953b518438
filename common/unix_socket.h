// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_COMMON_UNIX_SOCKET_H_
#define POSTERN_COMMON_UNIX_SOCKET_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/unique_fd.h"

namespace postern {

// A stream socket that listens at `path`, where nothing may be yet, for its owner
// alone (0600) from the first instant. Who made it removes the file.
absl::StatusOr<UniqueFd> ListenOnUnixSocket(const std::string& path);

// A stream socket, connected to whoever listens at `path`. Neither this nor the socket
// blocks. Unavailable, with errno's text alone, where nobody takes it now.
absl::StatusOr<UniqueFd> ConnectToUnixSocket(const std::string& path);

}  // namespace postern

#endif  // POSTERN_COMMON_UNIX_SOCKET_H_
