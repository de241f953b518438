// SPDX-License-Identifier: Apache-2.0
// Connections that were open before Postern judged for the first time.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/unique_fd.h"
#include "tests/kernel/kernel_test.h"

namespace postern::testing {
namespace {

using ::testing::AnyOf;
using ::testing::IsEmpty;

// Served by the test itself, which keeps what it accepts open.
constexpr uint16_t kHeldPort = 20027;
constexpr uint16_t kUnwatchedHeldPort = 20028;
constexpr char kAsMailer[] = "--uid=105";
constexpr char kAsWwwData[] = "--uid=33";

class EarlierConnectionTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    config_.ports = {kWatchedPort, kHeldPort};
    config_.earlier_connections = policy::EarlierConnections::kReset;
    listener_ = Listen(kHeldPort);
    unwatched_listener_ = Listen(kUnwatchedHeldPort);
  }

  static UniqueFd Listen(uint16_t port) {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int one = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(fd.get(), 16), 0);
    return fd;
  }

  static std::vector<std::string> Line(std::vector<std::string> words, uint16_t port = kHeldPort,
                                       const std::string& to = kInternet4) {
    words.insert(words.begin(), Attack("hold"));
    words.insert(words.end(), {to, absl::StrCat(port)});
    return words;
  }

  static UniqueFd Accept(const UniqueFd& listener) {
    return UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }

  static bool IsOpen(const UniqueFd& accepted) {
    char byte;
    return recv(accepted.get(), &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }

  void Look() {
    for (const sensor::HookState& hook : sensor_->Hooks()) {
      EXPECT_FALSE(absl::StartsWith(hook.name, "earlier_connections")) << hook.reason;
    }
    const auto not_reset = sensor_->LookForSockets();
    ASSERT_TRUE(not_reset.ok()) << not_reset.status();
    EXPECT_THAT(*not_reset, IsEmpty());
  }

  UniqueFd listener_, unwatched_listener_;
};

TEST_F(EarlierConnectionTest, IsRecordedOnceWithItsHolderAndLeftOpen) {
  config_.earlier_connections = policy::EarlierConnections::kRecord;
  Command holder(Line({kAsWwwData}));
  const Report report = holder.ReadReport();
  EXPECT_EQ(report.at("result"), "OK");
  const UniqueFd accepted = Accept(listener_);
  Enforce({});
  Look();
  const v1::Event event = EventOf(report);
  EXPECT_EQ(event.kind(), v1::Event::EARLIER_CONNECTION);
  EXPECT_EQ(event.verdict(), v1::Event::ALLOWED);
  EXPECT_EQ(event.destination(), kInternet4);
  EXPECT_EQ(event.port(), kHeldPort);
  EXPECT_EQ(event.protocol(), "tcp");
  EXPECT_EQ(event.uid(), kWwwData);
  EXPECT_EQ(event.comm(), "hold");
  EXPECT_EQ(event.exe(), Attack("hold"));
  EXPECT_EQ(event.identity(), v1::Event::SEEDED);
  EXPECT_NE(event.socket(), 0u);
  EXPECT_GT(event.ancestors_size(), 0);
  Look();
  StopSensor();
  Enforce({});
  Look();
  // The one that the test accepted, from the same port, is none.
  EXPECT_EQ(Attempts(), 1u);
  EXPECT_TRUE(IsOpen(accepted));
}

TEST_F(EarlierConnectionTest, IsFoundInEveryNetworkNamespace) {
  Command holder(Line({"--alone", kAsWwwData}, kWatchedPort, "127.0.0.1"));
  const Report report = holder.ReadReport();
  EXPECT_EQ(report.at("result"), "OK");
  Enforce({});
  Look();
  const v1::Event event = EventOf(report);
  EXPECT_EQ(event.kind(), v1::Event::EARLIER_CONNECTION);
  EXPECT_EQ(event.verdict(), v1::Event::DENIED);
  EXPECT_EQ(event.destination(), "127.0.0.1");
  EXPECT_EQ(holder.ReadReport().at("ended"), "ECONNRESET");
  EXPECT_EQ(Attempts(), 1u);
}

TEST_F(EarlierConnectionTest, AcceptedFromAWatchedPortIsNone) {
  // The peer wants its port.
  listener_.reset();
  Command peer(Line({absl::StrCat("--from=", kHeldPort)}, kUnwatchedHeldPort));
  EXPECT_EQ(peer.ReadReport().at("result"), "OK");
  const UniqueFd accepted = Accept(unwatched_listener_);
  Enforce({});
  Look();
  EXPECT_THAT(ReadEvents(), IsEmpty());
  EXPECT_TRUE(IsOpen(accepted));
}

TEST_F(EarlierConnectionTest, ResetEndsWhatThePolicyDeniesAndNothingElse) {
  policy::Rule mailer = AllowAll();
  mailer.users = {{.text = "105", .id = kMailer}};
  Command allowed(Line({kAsMailer}));
  const Report allowed_report = allowed.ReadReport();
  const UniqueFd of_allowed = Accept(listener_);
  Command polls(Line({kAsWwwData}));
  const Report polls_report = polls.ReadReport();
  const UniqueFd of_polls = Accept(listener_);
  Command blocks(Line({kAsWwwData, "--block"}));
  const Report blocks_report = blocks.ReadReport();
  const UniqueFd of_blocks = Accept(listener_);
  Enforce({mailer});
  Look();
  EXPECT_EQ(EventOf(allowed_report).verdict(), v1::Event::ALLOWED);
  EXPECT_EQ(EventOf(polls_report).verdict(), v1::Event::DENIED);
  EXPECT_EQ(EventOf(blocks_report).verdict(), v1::Event::DENIED);
  EXPECT_EQ(polls.ReadReport().at("ended"), "ECONNRESET");
  // Which of them depends on the kernel: see ResetConnection().
  EXPECT_THAT(blocks.ReadReport().at("ended"), AnyOf("ECONNRESET", "EPIPE", "OK"));
  EXPECT_TRUE(IsOpen(of_allowed));
  EXPECT_FALSE(IsOpen(of_polls));
  EXPECT_FALSE(IsOpen(of_blocks));
}

TEST_F(EarlierConnectionTest, NothingThatOnlyAnExecProvesSpeaksForIt) {
  Command holder(Line({kAsMailer}));
  const Report report = holder.ReadReport();
  const UniqueFd accepted = Accept(listener_);
  Enforce({Allow(kMailer, Attack("hold"))});
  Look();
  EXPECT_EQ(EventOf(report).verdict(), v1::Event::DENIED);
  EXPECT_EQ(holder.ReadReport().at("ended"), "ECONNRESET");
}

TEST_F(EarlierConnectionTest, MonitorOnlyTells) {
  Command holder(Line({kAsWwwData}));
  const Report report = holder.ReadReport();
  const UniqueFd accepted = Accept(listener_);
  Monitor({});
  Look();
  EXPECT_EQ(EventOf(report).verdict(), v1::Event::WOULD_DENY);
  EXPECT_TRUE(IsOpen(accepted));
}

}  // namespace
}  // namespace postern::testing
