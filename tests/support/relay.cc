// SPDX-License-Identifier: Apache-2.0
#include "tests/support/relay.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

namespace postern::support {
namespace {

constexpr int kBacklog = 64;

UniqueFd UnixSocket(const std::string& path, sockaddr_un& address) {
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return UniqueFd();
  path.copy(address.sun_path, path.size());
  return UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

// One way of a connection: what was read and is not written yet.
struct Way {
  int from = -1;
  int to = -1;
  std::array<char, 64 << 10> buffer;
  size_t begin = 0;
  size_t end = 0;
  bool done = false;

  bool empty() const { return begin == end; }
  // False where the connection is over.
  bool Read() {
    const ssize_t size = recv(from, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) {
      done = true;
      shutdown(to, SHUT_WR);
    }
    begin = 0;
    end = static_cast<size_t>(size);
    return true;
  }
  bool Write(std::atomic<uint64_t>& passed) {
    const ssize_t size = send(to, &buffer[begin], end - begin, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    begin += static_cast<size_t>(size);
    passed += static_cast<uint64_t>(size);
    return true;
  }
};

struct Connection {
  UniqueFd near, far;
  std::array<Way, 2> ways;
};

std::unique_ptr<Connection> Join(UniqueFd near, UniqueFd far) {
  auto connection = std::make_unique<Connection>();
  connection->near = std::move(near);
  connection->far = std::move(far);
  connection->ways[0].from = connection->ways[1].to = connection->near.get();
  connection->ways[0].to = connection->ways[1].from = connection->far.get();
  return connection;
}

// What can be done without waiting; false where the connection is over.
bool Pass(Connection& connection, std::atomic<uint64_t>& passed) {
  for (Way& way : connection.ways) {
    if (way.empty() && !way.done && !way.Read()) return false;
    if (!way.empty() && !way.Write(passed)) return false;
  }
  return !connection.ways[0].done || !connection.ways[1].done;
}

}  // namespace

UniqueFd ListenOnUnix(const std::string& path) {
  sockaddr_un address = {};
  UniqueFd fd = UnixSocket(path, address);
  unlink(path.c_str());
  if (!fd.valid() ||
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(fd.get(), kBacklog) != 0) {
    return UniqueFd();
  }
  return fd;
}

UniqueFd ConnectToUnix(const std::string& path) {
  sockaddr_un address = {};
  UniqueFd fd = UnixSocket(path, address);
  if (!fd.valid() ||
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return UniqueFd();
  }
  return fd;
}

Relay::Relay(UniqueFd listening, std::function<UniqueFd()> connect)
    : listening_(std::move(listening)),
      connect_(std::move(connect)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { Run(); }) {}

Relay::~Relay() {
  stop_ = true;
  Wake();
  thread_.join();
}

void Relay::Freeze(bool frozen) {
  frozen_ = frozen;
  Wake();
}

void Relay::Cut() {
  cut_ = true;
  Wake();
}

void Relay::Wake() const {
  // Fails where it was rung often enough already.
  [[maybe_unused]] const int unused = eventfd_write(wake_.get(), 1);
}

void Relay::Run() {
  std::vector<std::unique_ptr<Connection>> connections;
  while (!stop_) {
    std::vector<pollfd> waited = {{wake_.get(), POLLIN, 0}};
    if (!frozen_) {
      waited.push_back({listening_.get(), POLLIN, 0});
      for (const auto& connection : connections) {
        for (const Way& way : connection->ways) {
          if (!way.empty()) {
            waited.push_back({way.to, POLLOUT, 0});
          } else if (!way.done) {
            waited.push_back({way.from, POLLIN, 0});
          }
        }
      }
    }
    poll(waited.data(), waited.size(), -1);
    eventfd_t rung = 0;
    eventfd_read(wake_.get(), &rung);
    if (cut_.exchange(false)) connections.clear();
    if (frozen_) continue;
    if (waited.size() > 1 && (waited[1].revents & POLLIN) != 0) {
      UniqueFd near(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      UniqueFd far = connect_();
      if (near.valid() && far.valid()) connections.push_back(Join(std::move(near), std::move(far)));
    }
    connections.erase(
        std::remove_if(connections.begin(), connections.end(),
                       [this](const auto& connection) { return !Pass(*connection, passed_); }),
        connections.end());
  }
}

}  // namespace postern::support
