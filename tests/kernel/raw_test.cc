// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/raw_test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "tests/support/attacks/raw/source_port.h"

namespace postern::testing {
namespace {

// Takes all that is there; whether the server's answer was among it.
bool Look(int fd, bool skip_header) {
  uint8_t packet[2048];
  bool found = false;
  for (ssize_t bytes; (bytes = read(fd, packet, sizeof(packet))) > 0;) {
    const size_t header = skip_header ? size_t{4} * (packet[0] & 0xf) : 0;
    tcphdr tcp;
    if (static_cast<size_t>(bytes) < header + sizeof(tcp)) continue;
    memcpy(&tcp, packet + header, sizeof(tcp));
    found = found || (tcp.syn && tcp.ack && ntohs(tcp.source) == kWatchedPort &&
                      ntohs(tcp.dest) == SEGMENT_SOURCE_PORT);
  }
  return found;
}

}  // namespace

AnswerWatch& AnswerWatch::Get() {
  static auto& watch = *new AnswerWatch;
  return watch;
}

AnswerWatch::AnswerWatch() {
  for (const int family : {AF_INET, AF_INET6}) {
    sockets_.emplace_back(socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
    EXPECT_TRUE(sockets_.back().valid());
  }
}

bool AnswerWatch::Answered(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  do {
    pollfd waiting[] = {{.fd = sockets_[0].get(), .events = POLLIN, .revents = 0},
                        {.fd = sockets_[1].get(), .events = POLLIN, .revents = 0}};
    poll(waiting, std::size(waiting), 20);
    // Those of IPv6 hand out what follows the header.
    const bool ipv4 = Look(sockets_[0].get(), /*skip_header=*/true);
    const bool ipv6 = Look(sockets_[1].get(), /*skip_header=*/false);
    if (ipv4 || ipv6) return true;
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

std::vector<std::string> RawTest::Line(std::vector<std::string> words, const std::string& to) {
  words.insert(words.begin(), Attack("raw"));
  words.insert(words.end(), {to, absl::StrCat(kWatchedPort)});
  return words;
}

bool RawTest::IsAttached(const std::string& name) const {
  const std::vector<sensor::HookState> hooks = sensor_->Hooks();
  return std::any_of(hooks.begin(), hooks.end(), [&](const sensor::HookState& hook) {
    return hook.name == name && hook.attached;
  });
}

}  // namespace postern::testing
