// SPDX-License-Identifier: Apache-2.0
#include "common/unix_acceptor.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "common/log.h"
#include "common/status.h"
#include "common/steady_clock.h"

namespace postern {
namespace {

// How soon a connection is accepted once there is a descriptor for it again.
constexpr int kRetryMs = 100;
// A peer can cause any number of lines: it gets one in that time.
constexpr absl::Duration kSayAgain = absl::Minutes(1);

template <typename T>
std::optional<T> SocketOption(int fd, int option) {
  T value = {};
  socklen_t size = sizeof(value);
  if (getsockopt(fd, SOL_SOCKET, option, &value, &size) != 0) return std::nullopt;
  return value;
}

// Of one socket only since boot (include/linux/sock_diag.h), unlike its number.
std::optional<uint64_t> CookieOf(int fd) { return SocketOption<uint64_t>(fd, SO_COOKIE); }

bool TimeToSay(absl::Time& next) {
  const absl::Time now = SteadyNow();
  if (now < next) return false;
  next = now + kSayAgain;
  return true;
}

}  // namespace

UnixAcceptor::UnixAcceptor(std::string name, Limits limits, Take take)
    : name_(std::move(name)), limits_(limits), take_(std::move(take)) {}

void UnixAcceptor::AcceptFrom(UniqueFd listening) {
  Stop();
  listening_ = std::move(listening);
  thread_ = std::thread([this] { Run(); });
}

void UnixAcceptor::Stop() {
  if (!thread_.joinable()) return;
  // Ends accept4(2) and poll(2) on it, now and from now on.
  shutdown(listening_.get(), SHUT_RDWR);
  thread_.join();
  listening_.reset();
}

void UnixAcceptor::Run() {
  while (true) {
    UniqueFd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.valid()) {
      Admit(std::move(fd));
      continue;
    }
    const int error = errno;
    // POLLHUP, which needs not be asked for, says that it was shut down.
    pollfd stopped = {.fd = listening_.get(), .events = 0, .revents = 0};
    if (poll(&stopped, 1, error == EINTR ? 0 : kRetryMs) > 0) return;
    if (error != EINTR && TimeToSay(next_failure_said_)) {
      LogError("cannot accept connections, and tries again: %s",
               std::string(ErrnoStatus(error, name_).message()));
    }
  }
}

void UnixAcceptor::Admit(UniqueFd fd) {
  const auto closed = [](const Connection& connection) {
    return CookieOf(connection.fd) != connection.cookie;
  };
  open_.erase(std::remove_if(open_.begin(), open_.end(), closed), open_.end());
  const std::optional<uint64_t> cookie = CookieOf(fd.get());
  const std::optional<ucred> peer = SocketOption<ucred>(fd.get(), SO_PEERCRED);
  // Fails closed: what cannot be counted is refused.
  if (!cookie.has_value() || !peer.has_value()) return;
  const auto of_user = static_cast<size_t>(std::count_if(
      open_.begin(), open_.end(), [&](const Connection& other) { return other.uid == peer->uid; }));
  if (open_.size() >= limits_.all || of_user >= limits_.of_one_user) {
    if (TimeToSay(next_refusal_said_)) {
      LogWarning(
          "%s: refused a connection of uid %d, which holds %d of %d open ones: end what holds "
          "them (`ss -xp` shows it)",
          name_, peer->uid, of_user, open_.size());
    }
    return;
  }
  open_.push_back({.fd = fd.get(), .cookie = *cookie, .uid = peer->uid});
  take_(std::move(fd));
}

}  // namespace postern
