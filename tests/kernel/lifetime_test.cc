// SPDX-License-Identifier: Apache-2.0
// What outlives the agent, and whom it does not let in.
#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "bpf/abi/base.h"
#include "tests/kernel/kernel_test.h"

namespace postern::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using LifetimeTest = KernelTest;

TEST_F(LifetimeTest, EnforcementOutlivesTheAgentAndNothingOfItsAbsenceIsLost) {
  Enforce({Allow(kMailer, Attack("connect"))});
  StopSensor();
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("EPERM"));
  EXPECT_THAT(Connect({"--uid=105"}), ElementsAre("OK"));
  StartSensor();
  ReadEventsUntil([](const Events& events) { return events.size() >= 2; });
  EXPECT_EQ(Attempts(), 2u);
}

TEST_F(LifetimeTest, CountsOfAnAbsentAgentAreKept) {
  Enforce({});
  StopSensor();
  RunToEnd(ConnectLine({"--uid=33", "--quiet", "--count=10000"}));
  StartSensor();
  EXPECT_EQ(Attempts(), 10000u);
}

TEST_F(LifetimeTest, IdentitiesAreCarriedOverARestart) {
  Enforce({Allow(kMailer, Attack("connect"))});
  Command mailer(ConnectLine({"--uid=105", "--wait"}));
  mailer.ReadReport();
  StopSensor();
  Command later(ConnectLine({"--uid=105", "--wait"}));
  later.ReadReport();
  Enforce({Allow(kMailer, Attack("connect"))});
  for (Command* command : {&mailer, &later}) {
    command->WriteLine("");
    EXPECT_EQ(command->Finish().back().at("result"), "OK");
  }
}

TEST_F(LifetimeTest, RestartNeverSeedsAgain) {
  Enforce({});
  StopSensor();
  StartSensor();
  auto before = sensor_->UnprovenProcesses();
  ASSERT_TRUE(before.ok());
  for (const auto& process : *before) EXPECT_NE(process.pid, 0u);
  Command running(ConnectLine({"--uid=33", "--wait"}));
  running.ReadReport();
  StopSensor();
  StartSensor();
  running.WriteLine("");
  EXPECT_EQ(EventOf(running.Finish().back()).identity(), v1::Event::EXEC);
}

TEST_F(LifetimeTest, UnreleasedRecordsAreReadAgain) {
  Enforce({});
  Connect({"--uid=33"});
  size_t seen = 0;
  sensor_->Read(sensor::Ring::kDenied, SIZE_MAX, [&](absl::Span<const std::byte>) { ++seen; });
  EXPECT_EQ(seen, 1u);
  const uint64_t position = sensor_->ReadPosition(sensor::Ring::kDenied);
  const std::string ring = sensor_->RingId(sensor::Ring::kDenied);
  StopSensor();
  StartSensor();
  EXPECT_EQ(sensor_->RingId(sensor::Ring::kDenied), ring);
  // An agent that had committed it goes on behind it; one that had not reads it again.
  seen = 0;
  sensor_->Read(sensor::Ring::kDenied, SIZE_MAX, [&](absl::Span<const std::byte>) { ++seen; });
  EXPECT_EQ(seen, 1u);
  StopSensor();
  StartSensor();
  sensor_->SkipTo(sensor::Ring::kDenied, position);
  seen = 0;
  sensor_->Read(sensor::Ring::kDenied, SIZE_MAX, [&](absl::Span<const std::byte>) { ++seen; });
  EXPECT_EQ(seen, 0u);
}

TEST_F(LifetimeTest, NoConnectIsJudgedByHalfAPolicy) {
  // Two policies under both of which the mailer passes and www-data does not.
  const std::vector<policy::Rule> one = {Allow(kMailer, Attack("connect"))};
  policy::Rule by_user;
  by_user.name = "by user";
  by_user.users = {{.text = "105", .id = kMailer}};
  by_user.action = POSTERN_ACTION_ALLOW;
  Enforce(one);
  Command mailer(ConnectLine(
      {"--uid=105", "--quiet", "--nonblock", "--deadline=250", "--count=30000"}, "127.0.0.1"));
  Command bot(ConnectLine({"--uid=33", "--quiet", "--deadline=250", "--count=30000"}, "127.0.0.1"));
  for (int i = 0; i < 20; ++i) {
    Enforce({by_user});
    Enforce(one);
  }
  for (const Report& report : mailer.Finish()) EXPECT_NE(report.at("result"), "EPERM");
  for (const Report& report : bot.Finish()) EXPECT_EQ(report.at("result"), "EPERM");
}

TEST_F(LifetimeTest, ASecondAgentOnTheSamePinsIsRefused) {
  Enforce({});
  auto second = sensor::Sensor::Create(options_);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another posternd is running"));
  const absl::Status down = sensor::Sensor::TakeDown(options_);
  ASSERT_FALSE(down.ok());
  EXPECT_THAT(std::string(down.message()), HasSubstr("another posternd is running"));
}

// What a changed `bpffs:` leaves behind: it judges on, and no agent knows of it.
TEST_F(LifetimeTest, AnEarlierAgentsPolicyIsSeenWithItsPinsUntilItIsTakenDown) {
  Enforce({});
  const auto beside = [this](const std::string& pin_folder) {
    std::map<std::string, sensor::OtherProgram> found;  // by hook
    for (const sensor::HookState& hook : sensor_->Hooks()) {
      for (const sensor::OtherProgram& other : hook.others) {
        if (other.pin_folder == pin_folder) found[hook.name] = other;
      }
    }
    return found;
  };
  const sensor::Options earlier = options_;
  EXPECT_THAT(beside(earlier.bpffs), IsEmpty()) << "ours is no other";
  StopSensor();
  options_.bpffs += "-moved";
  Enforce({AllowAll()});
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("EPERM"));
  for (const char* hook : {"connect4", "connect6"}) {
    const auto found = beside(earlier.bpffs);
    ASSERT_EQ(found.count(hook), 1u);
    const sensor::OtherProgram& orphan = found.at(hook);
    EXPECT_EQ(orphan.name, absl::StrCat("judge_", hook));
    EXPECT_TRUE(orphan.is_postern);
    EXPECT_FALSE(orphan.runs_after);
    EXPECT_FALSE(orphan.has_agent);
  }
  {
    const auto watched = sensor::Sensor::Create(earlier);
    ASSERT_TRUE(watched.ok()) << watched.status();
    EXPECT_TRUE(beside(earlier.bpffs).at("connect4").has_agent);
  }
  ASSERT_TRUE(sensor::Sensor::TakeDown(earlier).ok());
  EXPECT_THAT(beside(earlier.bpffs), IsEmpty());
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("OK"));
}

TEST_F(LifetimeTest, AHookIsLostWithItsLinkThoughThePinStays) {
  Enforce({});
  const auto connect4 = [this] { return sensor_->Hooks().front(); };
  ASSERT_EQ(connect4().name, "connect4");
  EXPECT_TRUE(connect4().attached);
  const int link =
      bpf_obj_get(absl::StrCat(bpffs(), "/v", POSTERN_ABI_VERSION, "/links/connect4").c_str());
  ASSERT_GE(link, 0);
  ASSERT_EQ(bpf_link_detach(link), 0);
  close(link);
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("OK"));
  EXPECT_FALSE(connect4().attached);
  EXPECT_THAT(connect4().reason, HasSubstr("connections pass unjudged"));
  StopSensor();
  Enforce({});
  EXPECT_TRUE(connect4().attached);
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("EPERM"));
}

TEST_F(LifetimeTest, PinsOfAnotherVersionGoOnceThisOneJudges) {
  Enforce({});
  StopSensor();
  const std::string earlier = bpffs() + "/v1000";
  std::filesystem::rename(absl::StrCat(bpffs(), "/v", POSTERN_ABI_VERSION), earlier);
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("EPERM"));
  StartSensor();
  EXPECT_TRUE(std::filesystem::exists(earlier + "/links/connect4"));
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("EPERM"));
  Enforce({AllowAll()});
  EXPECT_FALSE(std::filesystem::exists(earlier));
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("OK"));
  EXPECT_THAT(sensor_->Hooks().front().others, IsEmpty());
}

TEST_F(LifetimeTest, TakeDownEndsEnforcementAndLeavesNothing) {
  Enforce({});
  StopSensor();
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("EPERM"));
  ASSERT_TRUE(sensor::Sensor::TakeDown(options_).ok());
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("OK"));
  EXPECT_FALSE(std::filesystem::exists(bpffs()));
}

TEST_F(LifetimeTest, AStartThatNeverJudgedLeavesNothing) {
  StartSensor();
  EXPECT_TRUE(std::filesystem::exists(bpffs()));
  StopSensor();
  EXPECT_FALSE(std::filesystem::exists(bpffs()));
  // What an earlier one judges by is not its to take away.
  Enforce({});
  StopSensor();
  StartSensor();
  StopSensor();
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("EPERM"));
}

TEST_F(LifetimeTest, APinFolderThatIsNotOursIsRefused) {
  ASSERT_TRUE(sensor::Sensor::TakeDown(options_).ok());  // mounts bpffs where it is missing
  ASSERT_EQ(mkdir(bpffs().c_str(), 0700), 0);
  ASSERT_EQ(chmod(bpffs().c_str(), 0777), 0);
  EXPECT_THAT(std::string(sensor::Sensor::Create(options_).status().message()),
              HasSubstr("is writable by others"));
  ASSERT_EQ(chmod(bpffs().c_str(), 0700), 0);
  ASSERT_EQ(chown(bpffs().c_str(), kNobody, 0), 0);
  EXPECT_THAT(std::string(sensor::Sensor::Create(options_).status().message()),
              HasSubstr("belongs to another user"));
  ASSERT_EQ(rmdir(bpffs().c_str()), 0);
  ASSERT_EQ(symlink("/tmp", bpffs().c_str()), 0);
  EXPECT_THAT(std::string(sensor::Sensor::Create(options_).status().message()),
              HasSubstr("is a symbolic link"));
  ASSERT_EQ(unlink(bpffs().c_str()), 0);
}

TEST_F(LifetimeTest, OnlyTheRootOfCgroupV2IsTaken) {
  options_.cgroup = "/tmp";
  EXPECT_THAT(std::string(sensor::Sensor::Create(options_).status().message()),
              HasSubstr("not a cgroup v2 mount"));
  options_.cgroup = "auto";
}

TEST_F(LifetimeTest, PinsThatLostTheirTrackersAreMadeAnew) {
  Enforce({Allow(kMailer, Attack("connect"))});
  StopSensor();
  ASSERT_EQ(unlink(absl::StrCat(bpffs(), "/v", POSTERN_ABI_VERSION, "/links/exec").c_str()), 0);
  Enforce({Allow(kMailer, Attack("connect"))});
  EXPECT_THAT(Connect({"--uid=105"}), ElementsAre("OK"));
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("EPERM"));
}

}  // namespace
}  // namespace postern::testing
