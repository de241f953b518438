// SPDX-License-Identifier: Apache-2.0
// The disk under the agent's state fills and has room again: a small tmpfs in a
// mount namespace of its own, which a program that sleeps holds open.
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// docs/spool.md
constexpr uintmax_t kReserveBytes = uintmax_t{16} << 20;

class FullDisk : public Lab {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Lab::SetUp());
    if (IsSkipped()) return;
    AgentConfig config;
    config.mode = "enforce";
    config.rules = DefaultRules(smtp());
    postern().Configure(config);
    fs::create_directory(postern().state_dir());
    holder_ = Start({"unshare", "-m", "sh", "-c",
                     absl::StrCat("mount -t tmpfs -o size=32m,mode=0700 none ",
                                  postern().state_dir(), " && echo mounted && exec sleep 600")});
    ASSERT_EQ(holder_->ReadLine().value_or(""), "mounted") << holder_->Error();
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
    holder_.reset();
    Lab::TearDown();
  }

  void StartAgent() {
    postern().StartAgent({"nsenter", absl::StrCat("--mount=/proc/", holder_->pid(), "/ns/mnt")});
  }

  // A file on that disk.
  std::string OnDisk(const std::string& name) {
    return absl::StrCat("/proc/", holder_->pid(), "/root", postern().state_dir(), "/", name);
  }

  // Somebody else writes until there is no room left.
  void Fill() {
    const UniqueFd file(
        open(OnDisk("filler").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    ASSERT_TRUE(file.valid()) << strerror(errno);
    const std::string chunk(size_t{1} << 20, 'x');
    for (size_t size = chunk.size(); size > 0;) {
      const ssize_t written = write(file.get(), chunk.data(), size);
      if (written != static_cast<ssize_t>(size)) size /= 2;
    }
    struct statvfs disk = {};
    ASSERT_EQ(statvfs(OnDisk("").c_str(), &disk), 0);
    ASSERT_EQ(disk.f_bavail, 0u);
  }

  uintmax_t ReserveBytes() {
    std::error_code error;
    return fs::file_size(OnDisk("spool.reserve"), error);
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

  std::unique_ptr<Process> holder_;
};

TEST_F(FullDisk, WhatIsTakenWaitsUntilThereIsRoomAndStatusSaysSo) {
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 0);
  // Nobody acknowledges: what is in the spool has to stay there.
  postern().StopCollector();
  std::vector<int64_t> pids;
  json status;
  ASSERT_TRUE(Eventually([&] {
    // Not even the reserve is left.
    fs::remove(OnDisk("spool.reserve"));
    Fill();
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

  ASSERT_TRUE(fs::remove(OnDisk("filler")));
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
  ASSERT_NO_FATAL_FAILURE(Fill());
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
  Fill();
  EXPECT_EQ(ReserveBytes(), kReserveBytes);
  for (int i = 0; i < 50; ++i) pids.push_back(DeniedRogue());
  ExpectEachOnce(pids);
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 0) << postern().Status();
}

TEST_F(FullDisk, AgentStartsByItsReserve) {
  std::vector<int64_t> pids = {DeniedRogue()};
  EXPECT_EQ(postern().StopAgent(), 0);
  Fill();
  pids.push_back(DeniedRogue());
  ASSERT_NO_FATAL_FAILURE(StartAgent());
  pids.push_back(DeniedRogue());
  ExpectEachOnce(pids);
}

}  // namespace
}  // namespace postern::lab
