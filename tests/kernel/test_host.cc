// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/test_host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace postern::testing {
namespace {

void Must(bool worked, const char* what) {
  if (worked) return;
  fprintf(stderr, "kernel tests: %s: %s\n", what, strerror(errno));
  exit(1);
}

void SetUpLoopback() {
  const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  Must(control >= 0, "socket");
  ifreq request = {};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  Must(ioctl(control, SIOCSIFFLAGS, &request) == 0, "bringing lo up");
  strcpy(request.ifr_name, "lo:1");
  auto* address = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  address->sin_family = AF_INET;
  inet_pton(AF_INET, kInternet4, &address->sin_addr);
  Must(ioctl(control, SIOCSIFADDR, &request) == 0, "adding the IPv4 address");

  const int control6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  Must(control6 >= 0, "socket");
  in6_ifreq request6 = {};
  request6.ifr6_ifindex = static_cast<int>(if_nametoindex("lo"));
  request6.ifr6_prefixlen = 128;
  inet_pton(AF_INET6, kInternet6, &request6.ifr6_addr);
  Must(ioctl(control6, SIOCSIFADDR, &request6) == 0, "adding the IPv6 address");
  close(control6);
  close(control);
}

// Dual stack, with Fast Open; of any address.
int Listen(uint16_t port) {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Must(fd >= 0, "socket");
  const int one = 1, off = 0, fast_open = 16;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &fast_open, sizeof(fast_open));
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  Must(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "bind");
  Must(listen(fd, 4096) == 0, "listen");
  return fd;
}

}  // namespace

TestHost::TestHost() {
  network_before_ = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  Must(network_before_ >= 0, "opening the network namespace");
  Must(unshare(CLONE_NEWNET) == 0, "unshare(CLONE_NEWNET)");
  SetUpLoopback();
  listeners_ = {Listen(kWatchedPort), Listen(kUnwatchedPort)};
  server_ = std::thread(&TestHost::Serve, this);
}

void TestHost::Serve() {
  std::vector<pollfd> waiting;
  for (int fd : listeners_) waiting.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  while (poll(waiting.data(), waiting.size(), -1) >= 0 || errno == EINTR) {
    for (const pollfd& listener : waiting) {
      const int accepted = (listener.revents & POLLIN) ? accept(listener.fd, nullptr, nullptr) : -1;
      if (accepted < 0) continue;
      close(accepted);
      if (listener.fd == listeners_.front()) ++arrived_;
    }
  }
}

}  // namespace postern::testing
