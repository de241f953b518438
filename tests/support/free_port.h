// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_TESTS_SUPPORT_FREE_PORT_H_
#define POSTERN_TESTS_SUPPORT_FREE_PORT_H_

#include <arpa/inet.h>
#include <sys/socket.h>

#include <string>

#include "common/unique_fd.h"

namespace postern::support {

// Of loopback; one that nobody listens on now. "0" where there is none.
inline std::string FreePort() {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(at);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&at), size) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0) {
    return "0";
  }
  return std::to_string(ntohs(at.sin_port));
}

}  // namespace postern::support

#endif  // POSTERN_TESTS_SUPPORT_FREE_PORT_H_
