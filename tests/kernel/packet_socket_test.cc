// SPDX-License-Identifier: Apache-2.0
// Sockets of AF_PACKET: seen and refused as they are made where BPF LSM is, and found
// afterwards where it is not.
#include "tests/kernel/raw_test.h"

namespace postern::testing {
namespace {

constexpr char kAsWwwData[] = "--uid=33";  // with CAP_NET_RAW
constexpr const char* kWays[] = {"packet", "cooked", "bypass", "obsolete"};

class PacketSocketTest : public RawTest {
 protected:
  void Look() {
    const auto looked = sensor_->LookForSockets();
    EXPECT_TRUE(looked.ok()) << looked.status();
  }
};

TEST_F(PacketSocketTest, WithoutPosternASynOfOnesOwnIsAnswered) {
  UseOwnSensor();
  for (const char* to : {kInternet4, kInternet6}) {
    for (const char* way : kWays) {
      EXPECT_EQ(Send({kAsWwwData, way}, to).at("result"), "OK") << way << " " << to;
      EXPECT_TRUE(Answered()) << way << " " << to;
    }
  }
}

TEST_F(PacketSocketTest, SocketsFromBeforeAreFoundOnceWithTheirHolder) {
  UseOwnSensor();
  for (const char* way : {"packet", "bypass"}) {
    Command attack(Line({kAsWwwData, "--stay", way}));
    const Report report = attack.ReadReport();
    EXPECT_EQ(report.at("result"), "OK");
    EnforceRaw(policy::RawSockets::kDeny);
    Look();
    const v1::Event event = EventOf(report);
    EXPECT_EQ(event.kind(), v1::Event::PACKET_SOCKET);
    EXPECT_EQ(event.verdict(), v1::Event::ALLOWED);
    EXPECT_EQ(event.family(), "packet");
    EXPECT_EQ(event.protocol(), "none");
    EXPECT_EQ(event.uid(), kWwwData);
    EXPECT_EQ(event.comm(), "raw");
    EXPECT_EQ(event.exe(), Attack("raw"));
    EXPECT_EQ(event.identity(), v1::Event::SEEDED);
    EXPECT_NE(event.socket(), 0u);
    const size_t events = ReadEvents().size();
    Look();
    // Nor does the next agent tell of it again.
    StopSensor();
    EnforceRaw(policy::RawSockets::kDeny);
    Look();
    EXPECT_EQ(ReadEvents().size(), events);
    attack.Finish();
    StopSensor();
    ASSERT_TRUE(sensor::Sensor::TakeDown(options_).ok());
  }
}

// Where nothing sees them being made.
class FoundPacketSocketTest : public PacketSocketTest {
 protected:
  void SetUp() override {
    PacketSocketTest::SetUp();
    EnforceRaw(policy::RawSockets::kDeny);
    if (IsAttached("socket_create")) GTEST_SKIP() << "this kernel runs BPF LSM";
    Look();
  }
};

TEST_F(FoundPacketSocketTest, SocketsMadeLaterAreFoundByTheNextLook) {
  Command first(Line({kAsWwwData, "--stay", "bypass"}));
  const Report report = first.ReadReport();
  EXPECT_EQ(report.at("result"), "OK");
  EXPECT_TRUE(Answered());
  Look();
  const v1::Event event = EventOf(report);
  EXPECT_EQ(event.kind(), v1::Event::PACKET_SOCKET);
  EXPECT_EQ(event.verdict(), v1::Event::ALLOWED);
  EXPECT_EQ(event.identity(), v1::Event::EXEC);
  EXPECT_GT(event.args_size(), 3);
  Command second(Line({kAsWwwData, "--stay", "packet"}));
  const Report later = second.ReadReport();
  Look();
  EXPECT_NE(EventOf(later).socket(), event.socket());
  EXPECT_EQ(Attempts(), 2u);
  first.Finish();
  second.Finish();
}

// Where BPF LSM does.
class JudgedPacketSocketTest : public PacketSocketTest {
 protected:
  void SetUp() override {
    PacketSocketTest::SetUp();
    EnforceRaw(policy::RawSockets::kDeny);
    if (!IsAttached("socket_create")) GTEST_SKIP() << "this kernel runs without BPF LSM";
    Look();
  }
};

TEST_F(JudgedPacketSocketTest, DenyRefusesThemAndRecordsTheirOwner) {
  for (const char* way : kWays) {
    const Report refused = Send({kAsWwwData, way});
    EXPECT_EQ(refused.at("result"), "EPERM") << way;
    const v1::Event event = EventOf(refused);
    EXPECT_EQ(event.kind(), v1::Event::PACKET_SOCKET);
    EXPECT_EQ(event.verdict(), v1::Event::DENIED);
    EXPECT_EQ(event.family(), "packet");
    EXPECT_EQ(event.exe(), Attack("raw"));
  }
  EXPECT_FALSE(AnsweredUntilNow());
}

TEST_F(JudgedPacketSocketTest, RootOfTheHostGoesOnRootOfAContainerDoesNot) {
  const Report passed = Send({"packet"});
  EXPECT_EQ(passed.at("result"), "OK");
  EXPECT_EQ(EventOf(passed).verdict(), v1::Event::ALLOWED);
  std::vector<std::string> in_container = Line({"packet"});
  in_container.insert(in_container.begin(), {"/usr/bin/unshare", "--cgroup"});
  EXPECT_EQ(RunToEnd(in_container).back().at("result"), "EPERM");
  std::vector<std::string> in_user_namespace = Line({"packet"});
  in_user_namespace.insert(in_user_namespace.begin(),
                           {"/usr/bin/unshare", "--user", "--map-root-user", "--net"});
  EXPECT_EQ(RunToEnd(in_user_namespace).back().at("result"), "EPERM");
}

TEST_F(JudgedPacketSocketTest, RecordLetsThemPassEachRecordedOnce) {
  EnforceRaw(policy::RawSockets::kRecord);
  Command attack(Line({kAsWwwData, "--stay", "packet"}));
  const Report passed = attack.ReadReport();
  EXPECT_EQ(passed.at("result"), "OK");
  EXPECT_TRUE(Answered());
  EXPECT_EQ(EventOf(passed).verdict(), v1::Event::ALLOWED);
  Look();
  EXPECT_EQ(Attempts(), 1u);
  attack.Finish();
}

TEST_F(JudgedPacketSocketTest, HammeringIsCountedWhole) {
  Send({kAsWwwData, "--count=20000", "packet"});
  EXPECT_EQ(Attempts(), 20000u);
  EXPECT_LE(ReadEvents().size(), 3u);
}

}  // namespace
}  // namespace postern::testing
