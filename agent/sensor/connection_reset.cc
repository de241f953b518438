// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/connection_reset.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::sensor {

absl::Status ResetConnection(const postern_held_socket& held) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, held.pid, 0)));
  if (!process.valid()) {
    return errno == ESRCH ? absl::OkStatus() : ErrnoStatus(errno, "opening its process");
  }
  const UniqueFd socket(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), held.fd, 0)));
  if (!socket.valid()) {
    return errno == EBADF || errno == ESRCH ? absl::OkStatus()
                                            : ErrnoStatus(errno, "taking a copy of its socket");
  }
  uint64_t cookie = 0;
  socklen_t bytes = sizeof(cookie);
  // Closed meanwhile, and the number given to something else.
  if (getsockopt(socket.get(), SOL_SOCKET, SO_COOKIE, &cookie, &bytes) != 0 ||
      cookie != held.cookie) {
    return absl::OkStatus();
  }
  sockaddr nowhere = {};
  nowhere.sa_family = AF_UNSPEC;
  if (connect(socket.get(), &nowhere, sizeof(nowhere)) == 0) return absl::OkStatus();
  // Some kernels of 6.x answer EBUSY while the holder waits for data.
  if (shutdown(socket.get(), SHUT_RDWR) == 0 || errno == ENOTCONN) return absl::OkStatus();
  return ErrnoStatus(errno, "disconnecting it");
}

}  // namespace postern::sensor
