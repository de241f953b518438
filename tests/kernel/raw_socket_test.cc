// SPDX-License-Identifier: Apache-2.0
// Raw sockets of IPv4 and IPv6.
#include <unistd.h>

#include "tests/kernel/raw_test.h"

namespace postern::testing {
namespace {

using ::testing::IsEmpty;

constexpr char kAsWwwData[] = "--uid=33";  // with CAP_NET_RAW

using RawSocketTest = RawTest;

TEST_F(RawSocketTest, WithoutPosternASynOfOnesOwnIsAnswered) {
  UseOwnSensor();
  for (const char* to : {kInternet4, kInternet6}) {
    for (const char* way : {"tcp", "raw", "cut", "icmp"}) {
      EXPECT_EQ(Send({way}, to).at("result"), "OK") << way << " " << to;
      EXPECT_TRUE(Answered()) << way << " " << to;
    }
  }
  EXPECT_EQ(Send({"extension"}, kInternet6).at("result"), "OK");
  EXPECT_TRUE(Answered());
  EXPECT_EQ(Send({"--compat", "icmp"}).at("result"), "OK");
  EXPECT_TRUE(Answered());
  EXPECT_EQ(Send({"--level=raw", "icmp"}, kInternet6).at("result"), "OK");
  EXPECT_TRUE(Answered());
}

TEST_F(RawSocketTest, CreationIsRecordedWithItsOwner) {
  EnforceRaw(policy::RawSockets::kRecord);
  for (const char* to : {kInternet4, kInternet6}) {
    for (const char* way : {"tcp", "raw"}) {
      const Report report = Send({kAsWwwData, way}, to);
      EXPECT_EQ(report.at("result"), "OK");
      EXPECT_TRUE(Answered());
      const v1::Event event = EventOf(report);
      EXPECT_EQ(event.kind(), v1::Event::RAW_SOCKET);
      EXPECT_EQ(event.verdict(), v1::Event::ALLOWED);
      EXPECT_EQ(event.family(), to == kInternet4 ? "ipv4" : "ipv6");
      EXPECT_EQ(event.protocol(), way);
      EXPECT_EQ(event.port(), 0u);
      EXPECT_EQ(event.uid(), kWwwData);
      EXPECT_EQ(event.identity(), v1::Event::EXEC);
      EXPECT_EQ(event.exe(), Attack("raw"));
      EXPECT_EQ(event.comm(), "raw");
      ASSERT_EQ(event.args_size(), 5);
      EXPECT_EQ(event.args(2), way);
      ASSERT_GT(event.ancestors_size(), 0);
      EXPECT_EQ(event.ancestors(event.ancestors_size() - 1).pid(), static_cast<uint32_t>(getpid()));
    }
  }
}

TEST_F(RawSocketTest, DenyRefusesThemInEnforceAndTellsInMonitor) {
  MonitorRaw(policy::RawSockets::kDeny);
  const Report passed = Send({"tcp"});
  EXPECT_EQ(passed.at("result"), "OK");
  EXPECT_TRUE(Answered());
  EXPECT_EQ(EventOf(passed).verdict(), v1::Event::WOULD_DENY);

  EnforceRaw(policy::RawSockets::kDeny);
  for (const char* to : {kInternet4, kInternet6}) {
    for (const char* way : {"tcp", "raw", "cut"}) {
      const Report refused = Send({way}, to);
      EXPECT_EQ(refused.at("result"), "EPERM");
      EXPECT_EQ(EventOf(refused).verdict(), v1::Event::DENIED);
    }
  }
  const Report behind = Send({"extension"}, kInternet6);
  EXPECT_EQ(behind.at("result"), "EPERM");
  EXPECT_EQ(EventOf(behind).verdict(), v1::Event::DENIED);
  EXPECT_FALSE(AnsweredUntilNow());
}

TEST_F(RawSocketTest, RefusalHasThePolicysErrno) {
  config_.deny_errno = EHOSTUNREACH;
  EnforceRaw(policy::RawSockets::kDeny);
  EXPECT_EQ(Send({"tcp"}).at("result"), "EHOSTUNREACH");
}

TEST_F(RawSocketTest, PingIsLeftAlone) {
  EnforceRaw(policy::RawSockets::kDeny);
  EXPECT_EQ(Send({"ping"}).at("result"), "OK");
  EXPECT_EQ(Send({"ping"}, kInternet6).at("result"), "OK");
  EXPECT_THAT(ReadEvents(), IsEmpty());
}

TEST_F(RawSocketTest, HammeringIsCountedWhole) {
  EnforceRaw(policy::RawSockets::kDeny);
  Send({kAsWwwData, "--count=20000", "tcp"});
  Send({kAsWwwData, "--count=3000", "raw"});
  EXPECT_EQ(Attempts(), 23000u);
  EXPECT_LE(ReadEvents().size(), 6u);
  for (const v1::Event& event : ReadEvents()) {
    EXPECT_EQ(event.kind(), v1::Event::RAW_SOCKET);
    EXPECT_EQ(event.verdict(), v1::Event::DENIED);
    EXPECT_EQ(event.family(), "ipv4");
  }
}

TEST_F(RawSocketTest, RefusalOutlivesTheAgentAndEndsWithItsPins) {
  UseOwnSensor();
  EnforceRaw(policy::RawSockets::kDeny);
  StopSensor();
  EXPECT_EQ(Send({"tcp"}).at("result"), "EPERM");
  EnforceRaw(policy::RawSockets::kRecord);
  EXPECT_EQ(Send({"tcp"}).at("result"), "OK");
  EXPECT_TRUE(IsAttached("sock_create"));
}

// What BPF LSM alone sees: skipped where the kernel has none.
class HeaderIncludedTest : public RawTest {
 protected:
  void SetUp() override {
    RawTest::SetUp();
    EnforceRaw(policy::RawSockets::kDeny);
    if (!IsAttached("socket_setsockopt")) GTEST_SKIP() << "this kernel runs without BPF LSM";
  }
};

TEST_F(HeaderIncludedTest, RawSocketsOfOtherProtocolsMayNotSendHeaders) {
  for (const char* to : {kInternet4, kInternet6}) {
    const Report refused = Send({"icmp"}, to);
    EXPECT_EQ(refused.at("result"), "EPERM");
    const v1::Event event = EventOf(refused);
    EXPECT_EQ(event.kind(), v1::Event::RAW_SOCKET);
    EXPECT_EQ(event.verdict(), v1::Event::DENIED);
    EXPECT_EQ(event.protocol(), "icmp");
    EXPECT_EQ(event.exe(), Attack("raw"));
  }
  // A 32-bit program, whose setsockopt() no program on a cgroup sees.
  EXPECT_EQ(Send({"--compat", "icmp"}).at("result"), "EPERM");
  EXPECT_EQ(Send({"--level=raw", "icmp"}, kInternet6).at("result"), "EPERM");
  EXPECT_FALSE(AnsweredUntilNow());
  EXPECT_EQ(Send({"ping"}).at("result"), "OK");
}

TEST_F(HeaderIncludedTest, RecordLetsThemPassAndTells) {
  EnforceRaw(policy::RawSockets::kRecord);
  const Report passed = Send({"icmp"});
  EXPECT_EQ(passed.at("result"), "OK");
  EXPECT_TRUE(Answered());
  EXPECT_EQ(EventOf(passed).verdict(), v1::Event::ALLOWED);
}

}  // namespace
}  // namespace postern::testing
