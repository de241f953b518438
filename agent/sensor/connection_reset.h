// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_AGENT_SENSOR_CONNECTION_RESET_H_
#define POSTERN_AGENT_SENSOR_CONNECTION_RESET_H_

#include "absl/status/status.h"
#include "bpf/abi/state.h"

namespace postern::sensor {

// Ends a connection that another process holds, in whatever network namespace, by a
// copy of its descriptor (pidfd_getfd, Linux 5.6): the peer gets a reset, the holder
// an error or the end of the stream. OK where that socket is gone. No need of
// CONFIG_INET_DIAG_DESTROY, which SOCK_DESTROY has, nor of entering the namespace.
absl::Status ResetConnection(const postern_held_socket& held);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_CONNECTION_RESET_H_
