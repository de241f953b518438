// SPDX-License-Identifier: Apache-2.0
#include "server/trust/listening.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/tls/openssl.h"
#include "common/tls/tunnel.h"

namespace postern::server {
namespace {

void WatchForLoss(int fd) {
  const int on = 1;
  const int idle_seconds = 30;
  const int interval_seconds = 10;
  const int probes = 3;
  const unsigned int unacknowledged_ms = 60'000;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof(idle_seconds));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof(interval_seconds));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

}  // namespace

absl::StatusOr<UniqueFd> ListenOn(const std::string& address) {
  ASSIGN_OR_RETURN(const tls::HostPort at, tls::ParseHostPort(address));
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* list = nullptr;
  if (getaddrinfo(at.host.c_str(), at.port.c_str(), &hints, &list) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("cannot listen on ", address, ": no address"));
  }
  const std::unique_ptr<addrinfo, tls::Free<freeaddrinfo>> found(list);
  UniqueFd fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (fd.valid()) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (fd.valid() && found->ai_family == AF_INET6) {
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  }
  if (!fd.valid() || bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      listen(fd.get(), SOMAXCONN) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot listen on ", address));
  }
  return fd;
}

absl::StatusOr<std::optional<Caller>> Accept(int listening) {
  while (true) {
    sockaddr_storage peer = {};
    socklen_t size = sizeof(peer);
    auto* const address = reinterpret_cast<sockaddr*>(&peer);
    UniqueFd fd(accept4(listening, address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.valid()) {
      WatchForLoss(fd.get());
      char host[NI_MAXHOST] = "?";
      getnameinfo(address, size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST);
      return Caller{.socket = std::move(fd), .address = host};
    }
    const int error = errno;
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
      return ErrnoStatus(error, "accept");
    }
    if (error != EINTR && error != ECONNABORTED) return std::nullopt;
  }
}

}  // namespace postern::server
