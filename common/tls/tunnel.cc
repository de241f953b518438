// SPDX-License-Identifier: Apache-2.0
#include "common/tls/tunnel.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status.h"
#include "common/steady_clock.h"
#include "common/tls/context.h"
#include "common/tls/pipe.h"

namespace postern::tls {
namespace {

using AddressesPtr = std::unique_ptr<addrinfo, Free<freeaddrinfo>>;

constexpr size_t kBudget = size_t{1} << 20;

int PollMs(absl::Time deadline) {
  const absl::Duration left = std::max(deadline - SteadyNow(), absl::ZeroDuration());
  // Rounded up, or the last millisecond would spin.
  return static_cast<int>(absl::ToInt64Milliseconds(left)) + 1;
}

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  HostPort parsed;
  if (colon != std::string::npos && absl::SimpleAtoi(address.substr(colon + 1), &port) &&
      port > 0 && port < 65536) {
    parsed.host = address.substr(0, colon);
    parsed.port = absl::StrCat(port);
  }
  if (absl::StartsWith(parsed.host, "[") && absl::EndsWith(parsed.host, "]")) {
    parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
  } else if (absl::StrContains(parsed.host, ":")) {
    parsed.host.clear();
  }
  const bool plain = std::all_of(parsed.host.begin(), parsed.host.end(),
                                 [](char c) { return c > ' ' && c < '\x7f' && c != '/'; });
  if (parsed.host.empty() || !plain) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", address,
                     "' is no HOST:PORT, like collector.example.net:7425 or "
                     "[2001:db8::1]:7425"));
  }
  return parsed;
}

absl::StatusOr<std::unique_ptr<Tunnel>> Tunnel::Start(std::string name, HostPort server,
                                                      ContextPtr context) {
  std::unique_ptr<Tunnel> tunnel(
      new Tunnel(std::move(name), std::move(server), std::move(context)));
  int ends[2] = {};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoStatus(errno, "cannot make a socket");
  }
  tunnel->near_.reset(ends[0]);
  UniqueFd far(ends[1]);
  tunnel->stop_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!tunnel->stop_.valid()) return ErrnoStatus(errno, "cannot make an eventfd");
  tunnel->thread_ =
      std::thread([raw = tunnel.get(), fd = far.release()] { raw->Run(UniqueFd(fd)); });
  return tunnel;
}

Tunnel::Tunnel(std::string name, HostPort server, ContextPtr context)
    : name_(std::move(name)), server_(std::move(server)), context_(std::move(context)) {}

Tunnel::~Tunnel() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

absl::Status Tunnel::WaitUntilAnswered() {
  MutexLock lock(&mutex_);
  // Each step of the thread has a deadline of its own, so this one ends.
  while (!mutex_.AwaitFor(absl::ToChronoNanoseconds(kPatience),
                          [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return decided_; })) {
  }
  return outcome_;
}

absl::Status Tunnel::failure() const {
  MutexLock lock(&mutex_);
  return outcome_;
}

void Tunnel::Say(absl::Status outcome) {
  MutexLock lock(&mutex_);
  if (decided_) return;
  decided_ = true;
  outcome_ = std::move(outcome);
  mutex_.NotifyAll();
}

void Tunnel::Run(UniqueFd far) {
  // SIGPIPE above all, which OpenSSL's writes can raise.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  absl::StatusOr<UniqueFd> socket = Connect();
  if (!socket.ok()) return Say(socket.status());
  SslPtr ssl(SSL_new(context_.get()));
  const int fd = socket->get();
  if (ssl == nullptr || SSL_set_fd(ssl.get(), fd) != 1) return Say(OpenSslStatus(name_));
  absl::Status status = ExpectServer(*ssl, server_.host);
  if (status.ok()) status = ShakeHands(*ssl, fd);
  if (status.ok()) status = AwaitAnswer(*ssl, fd);
  Say(status);
  if (!status.ok()) return;

  Pipe pipe(std::move(ssl), *std::move(socket), std::move(far), /*inspect=*/nullptr);
  bool all_moved = false;
  while (pipe.end() == Pipe::End::kOpen) {
    const short peer = pipe.PeerEvents(/*may_read=*/true);
    const short plain = pipe.PlainEvents();
    // A side of which nothing is wanted must not wake us by having left.
    pollfd waits[] = {{peer == 0 ? -1 : pipe.peer_fd(), peer, 0},
                      {plain == 0 ? -1 : pipe.plain_fd(), plain, 0},
                      {stop_.get(), POLLIN, 0}};
    if (poll(waits, 3, all_moved ? -1 : 0) < 0 && errno != EINTR) return;
    if (waits[2].revents != 0) return;
    all_moved = pipe.Move(kBudget);
  }
}

absl::StatusOr<UniqueFd> Tunnel::Connect() {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(server_.host.c_str(), server_.port.c_str(), &hints, &found);
      error != 0) {
    return absl::UnavailableError(absl::StrCat(name_, " cannot be found: ", gai_strerror(error)));
  }
  const AddressesPtr addresses(found);
  absl::Status last;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    UniqueFd fd(socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return ErrnoStatus(errno, "cannot make a socket");
    int error = connect(fd.get(), address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      last = Wait(fd.get(), POLLOUT, SteadyNow() + kPatience);
      if (absl::IsCancelled(last)) return last;
      if (!last.ok()) continue;
      socklen_t size = sizeof(error);
      getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error != 0) {
      last = ErrnoStatus(error, absl::StrCat(name_, " cannot be reached"));
      continue;
    }
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
  }
  return last;
}

absl::Status Tunnel::Wait(int fd, short events, absl::Time deadline) const {
  while (true) {
    pollfd waits[] = {{fd, events, 0}, {stop_.get(), POLLIN, 0}};
    const int ready = poll(waits, 2, PollMs(deadline));
    if (ready < 0 && errno != EINTR) return ErrnoStatus(errno, "poll");
    if (waits[1].revents != 0) return absl::CancelledError("given up");
    if (ready > 0 && waits[0].revents != 0) return absl::OkStatus();
    if (SteadyNow() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat(name_, " does not answer"));
    }
  }
}

absl::Status Tunnel::ShakeHands(SSL& ssl, int fd) {
  const absl::Time deadline = SteadyNow() + kPatience;
  while (true) {
    ERR_clear_error();
    const int done = SSL_connect(&ssl);
    if (done == 1) return absl::OkStatus();
    const int error = SSL_get_error(&ssl, done);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      return HandshakeFailure(ssl, name_);
    }
    RETURN_IF_ERROR(Wait(fd, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline));
  }
}

absl::Status Tunnel::AwaitAnswer(SSL& ssl, int fd) {
  // A server of TLS 1.3 judges our certificate after our handshake is over.
  const absl::Time deadline = SteadyNow() + kPatience;
  char first = 0;
  while (true) {
    ERR_clear_error();
    const int got = SSL_peek(&ssl, &first, sizeof(first));
    if (got > 0) return absl::OkStatus();
    const int error = SSL_get_error(&ssl, got);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      return HandshakeFailure(ssl, name_);
    }
    RETURN_IF_ERROR(Wait(fd, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline));
  }
}

}  // namespace postern::tls
