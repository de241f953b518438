// SPDX-License-Identifier: Apache-2.0
// The disk under the agent's state, or under the collector's store, fills and has room
// again.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/support/lab/lab.h"
#include "tests/support/lab/small_disk.h"

namespace postern::lab {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// docs/spool.md
constexpr uintmax_t kReserveBytes = uintmax_t{16} << 20;

// Of 32 MiB.
class OnSmallDisk : public Lab {
 protected:
  // With an agent that denies, and the disk on `folder`.
  void Prepare(const std::string& folder) {
    AgentConfig config;
    config.mode = "enforce";
    config.rules = DefaultRules(smtp());
    postern().Configure(config);
    fs::create_directory(folder);
    disk_.emplace(folder, 32);
  }

  void TearDown() override {
    disk_.reset();
    Lab::TearDown();
  }

  int64_t DeniedRogue() {
    const Attempt attempt = Rogue();
    EXPECT_EQ(attempt.result, "EPERM");
    return attempt.pid;
  }

  // Each is in the answers once, and nothing is said to be missing.
  void ExpectEachOnce(const std::vector<int64_t>& pids) {
    for (const int64_t pid : pids) {
      EXPECT_EQ(postern().AwaitOne(pid).value("verdict", ""), "denied");
    }
    postern().ExpectComplete();
  }

  std::optional<SmallDisk> disk_;
};

// The agent's.
class FullDisk : public OnSmallDisk {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Lab::SetUp());
    if (IsSkipped()) return;
    ASSERT_NO_FATAL_FAILURE(Prepare(postern().state_dir()));
    ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
    ASSERT_NO_FATAL_FAILURE(StartAgent());
    // The record begins when the collector has heard of the host.
    ASSERT_NO_FATAL_FAILURE(postern().ExpectComplete());
  }

  void TearDown() override {
    // It has the disk open.
    if (!IsSkipped() && postern().agent_runs()) {
      EXPECT_EQ(postern().StopAgent(), 0);
    }
    OnSmallDisk::TearDown();
  }

  void StartAgent() { postern().StartAgent(disk_->There()); }

  uintmax_t ReserveBytes() {
    std::error_code error;
    return fs::file_size(disk_->Path("spool.reserve"), error);
  }
};

TEST_F(FullDisk, WhatIsTakenWaitsUntilThereIsRoomAndStatusSaysSo) {
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 0);
  // Nobody acknowledges: what is in the spool has to stay there.
  postern().StopCollector();
  std::vector<int64_t> pids;
  json status;
  ASSERT_TRUE(Eventually([&] {
    // Not even the reserve is left.
    fs::remove(disk_->Path("spool.reserve"));
    disk_->Fill();
    pids.push_back(DeniedRogue());
    status = postern().Status();
    return absl::StrContains(status.dump(), "events wait in memory");
  })) << status;
  // As well as all that comes while it lasts.
  for (int i = 0; i < 5; ++i) pids.push_back(DeniedRogue());
  const Answer answer = postern().Ask({"status"});
  EXPECT_EQ(answer.exit_code, 3);
  ASSERT_FALSE(answer.lines.empty());
  const std::string problems = answer.lines[0]["problems"].dump();
  EXPECT_TRUE(absl::StrContains(problems, postern().state_dir() + "/spool.db")) << problems;
  EXPECT_TRUE(absl::StrContains(problems, "full")) << problems;
  EXPECT_TRUE(absl::StrContains(problems, "make room")) << problems;

  ASSERT_NO_FATAL_FAILURE(disk_->MakeRoom());
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
  ExpectEachOnce(pids);
  EXPECT_TRUE(Eventually([&] { return postern().Ask({"status"}).exit_code == 0; }))
      << postern().Status();
  EXPECT_TRUE(absl::StrContains(postern().agent_log(), "this is over: events wait in memory"))
      << postern().agent_log();
  // For the next time.
  EXPECT_EQ(ReserveBytes(), kReserveBytes);
}

TEST_F(FullDisk, DeliveryMakesTheRoomThatNobodyElseMakes) {
  postern().StopCollector();
  ASSERT_NO_FATAL_FAILURE(disk_->Fill());
  constexpr int kAtOnce = 250;
  int uid = 200'000;
  int made = 0;
  // Of many users: what one user does is soon coalesced.
  const auto knock = [&] {
    for (int i = 0; i < 10; ++i) {
      const Attempt tally = AttackOnce({Program("connect"), "--quiet", "--each=fork",
                                        absl::StrCat("--count=", kAtOnce),
                                        absl::StrCat("--uid=", ++uid), internet().v4(), "25"});
      EXPECT_EQ(tally.result, "EPERM");
      made += kAtOnce;
    }
  };
  json status;
  ASSERT_TRUE(Eventually([&] {
    knock();
    status = postern().Status();
    return absl::StrContains(status.dump(), "events wait in memory");
  })) << status;
  // For the agent's memory and the rings.
  for (int i = 0; i < 5; ++i) knock();

  ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
  int told = 0;
  Answer answer;
  EXPECT_TRUE(Eventually([&] {
    // In this order: what arrives in between makes it more, never less.
    answer = postern().QueryRecord();
    told = answer.Completeness().value("missing", 0);
    for (const json& line : postern().Query({"--group-by", "verdict"}).lines) {
      if (line.value("kind", "") == "group") told += line.value("count", 0);
    }
    EXPECT_TRUE(told >= made || !answer.Completeness().value("complete", true))
        << told << " of " << made << ": " << answer.Completeness();
    status = postern().Status();
    return told >= made && !absl::StrContains(status.dump(), "events wait in memory");
  })) << told
      << " of " << made << ": " << answer.Completeness() << status;
  EXPECT_EQ(told, made);
}

TEST_F(FullDisk, AgentWithACollectorGoesOnByItsReserve) {
  std::vector<int64_t> pids = {DeniedRogue()};
  postern().AwaitOne(pids.back());
  disk_->Fill();
  EXPECT_EQ(ReserveBytes(), kReserveBytes);
  for (int i = 0; i < 50; ++i) pids.push_back(DeniedRogue());
  ExpectEachOnce(pids);
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 0) << postern().Status();
}

TEST_F(FullDisk, AgentStartsByItsReserve) {
  std::vector<int64_t> pids = {DeniedRogue()};
  EXPECT_EQ(postern().StopAgent(), 0);
  disk_->Fill();
  pids.push_back(DeniedRogue());
  ASSERT_NO_FATAL_FAILURE(StartAgent());
  pids.push_back(DeniedRogue());
  ExpectEachOnce(pids);
}

// The collector's.
class FullDiskOfTheCollector : public OnSmallDisk {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Lab::SetUp());
    if (IsSkipped()) return;
    ASSERT_NO_FATAL_FAILURE(Prepare(fs::path(postern().store()).parent_path()));
    ASSERT_NO_FATAL_FAILURE(postern().StartCollector(disk_->There()));
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
    ASSERT_NO_FATAL_FAILURE(postern().ExpectComplete());
  }

  // With what is in the store it answers, takes nothing, and says so; once there is room
  // it goes on by itself.
  void ExpectToAnswerAndToGoOn(std::vector<int64_t> pids) {
    EXPECT_EQ(postern().AwaitOne(pids.front()).value("verdict", ""), "denied");
    EXPECT_EQ(postern().Ask({"hosts"}).lines.size(), 1u);
    EXPECT_TRUE(absl::StrContains(postern().collector_log(), "agents keep them"))
        << postern().collector_log();
    EXPECT_TRUE(absl::StrContains(postern().collector_log(), "disk is full (make room"))
        << postern().collector_log();
    pids.push_back(DeniedRogue());
    ASSERT_TRUE(Eventually([&] {
      return absl::StrContains(postern().Status().dump(), "disk is full");
    })) << postern().Status();
    ASSERT_NO_FATAL_FAILURE(disk_->MakeRoom());
    ExpectEachOnce(pids);
    EXPECT_TRUE(absl::StrContains(postern().collector_log(), "events are stored again"))
        << postern().collector_log();
  }
};

TEST_F(FullDiskOfTheCollector, RestartedOnItAnswersAndStoresAgainOnceThereIsRoom) {
  const std::vector<int64_t> pids = {DeniedRogue()};
  ASSERT_NO_FATAL_FAILURE(ExpectEachOnce(pids));
  EXPECT_EQ(postern().StopCollector(), 0);
  ASSERT_NO_FATAL_FAILURE(disk_->Fill());
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector(disk_->There()));
  ExpectToAnswerAndToGoOn(pids);
  EXPECT_EQ(postern().StopCollector(), 0);
}

TEST_F(FullDiskOfTheCollector, RestartedOnItAfterAKillItIsTheSame) {
  const std::vector<int64_t> pids = {DeniedRogue()};
  ASSERT_NO_FATAL_FAILURE(ExpectEachOnce(pids));
  postern().KillCollector();
  ASSERT_NO_FATAL_FAILURE(disk_->Fill());
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector(disk_->There()));
  ExpectToAnswerAndToGoOn(pids);
  EXPECT_EQ(postern().StopCollector(), 0);
}

TEST_F(FullDiskOfTheCollector, WhatItCannotTakeIsNotCalledComplete) {
  std::vector<int64_t> pids = {DeniedRogue()};
  ASSERT_NO_FATAL_FAILURE(ExpectEachOnce(pids));
  ASSERT_NO_FATAL_FAILURE(disk_->Fill());
  const std::string since = absl::FormatTime(absl::Now());
  for (int i = 0; i < 20; ++i) pids.push_back(DeniedRogue());
  const std::string until = absl::FormatTime(absl::Now());
  const auto answer = [&] {
    return postern().Ask(
        {"query", "--host", "lab.example.net", "--since", since, "--until", until});
  };
  ASSERT_TRUE(Eventually([&] {
    return absl::StrContains(postern().Status().dump(), "disk is full");
  })) << postern().Status();
  // As often as the agent comes back.
  for (int i = 0; i < 20; ++i) {
    const json completeness = answer().Completeness();
    EXPECT_FALSE(completeness.value("complete", true)) << completeness;
    const std::string before = postern().Status().dump();
    ASSERT_TRUE(Eventually([&] { return postern().Status().dump() != before; }));
  }
  ASSERT_NO_FATAL_FAILURE(disk_->MakeRoom());
  ExpectEachOnce(pids);
  EXPECT_TRUE(Eventually([&] { return answer().Completeness().value("complete", false); }))
      << answer().Completeness();
}

}  // namespace
}  // namespace postern::lab
