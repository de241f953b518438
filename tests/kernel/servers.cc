// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/servers.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/address.h"
#include "tests/kernel/test_host.h"
#include "tests/support/eventually.h"
#include "tests/support/process.h"

namespace postern::testing {
namespace {

// A namespace is a thread's: this one's stays as it is.
void In(int network, const std::function<void()>& work) {
  std::thread([&] {
    EXPECT_EQ(setns(network, CLONE_NEWNET), 0) << strerror(errno);
    if (!::testing::Test::HasFailure()) work();
  }).join();
}

void Ip(const std::string& verb) {
  for (const std::string& address :
       {absl::StrCat(kInternet4, "/32"), absl::StrCat(kInternet6, "/128")}) {
    std::vector<std::string> command = {"ip", "address", verb, address, "dev", "lo"};
    if (verb == "replace") command.push_back("nodad");
    const support::Finished ip = support::RunToEnd(command);
    EXPECT_EQ(ip.exit_code, 0) << "ip address " << verb << " " << address << ": " << ip.error;
  }
}

UniqueFd Listen(const std::string& on) {
  const Address bytes = ParseAddress(on).value();
  sockaddr_in v4 = {};
  sockaddr_in6 v6 = {};
  v4.sin_family = AF_INET;
  v6.sin6_family = AF_INET6;
  v4.sin_port = v6.sin6_port = htons(kWatchedPort);
  memcpy(&v4.sin_addr, &bytes[12], 4);
  memcpy(&v6.sin6_addr, bytes.data(), 16);
  const bool ipv4 = IsIpv4Mapped(bytes.data());
  const auto* address =
      ipv4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
  UniqueFd fd(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int one = 1, fast_open = 16;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  setsockopt(fd.get(), IPPROTO_TCP, TCP_FASTOPEN, &fast_open, sizeof(fast_open));
  EXPECT_EQ(bind(fd.get(), address, ipv4 ? sizeof(v4) : sizeof(v6)), 0)
      << on << ": " << strerror(errno);
  EXPECT_EQ(listen(fd.get(), 64), 0) << strerror(errno);
  return fd;
}

}  // namespace

Servers::Servers(int network) : network_(network) {
  In(network_, [this] {
    Ip("replace");
    for (const char* on : {kInternet4, kInternet6, "127.0.0.1", "::1"}) {
      listeners_.emplace(on, Listen(on));
    }
  });
}

Servers::~Servers() {
  listeners_.clear();
  std::thread([this] {
    EXPECT_EQ(setns(network_, CLONE_NEWNET), 0) << strerror(errno);
    Ip("delete");
  }).join();
}

std::string Servers::Accept() {
  std::vector<pollfd> waiting;
  for (const auto& [address, fd] : listeners_) {
    waiting.push_back({.fd = fd.get(), .events = POLLIN, .revents = 0});
  }
  const int patience_ms = static_cast<int>(absl::ToInt64Milliseconds(support::kPatience));
  if (poll(waiting.data(), waiting.size(), patience_ms) <= 0) return "";
  for (const auto& [address, fd] : listeners_) {
    const UniqueFd connection(accept(fd.get(), nullptr, nullptr));
    if (connection.valid()) return address;
  }
  return "";
}

}  // namespace postern::testing
