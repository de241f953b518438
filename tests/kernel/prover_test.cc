// SPDX-License-Identifier: Apache-2.0
// The agent's own canary: what it leaves behind, and what it finds out.
#include <bpf/bpf.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "agent/canary/prover.h"
#include "bpf/abi/base.h"
#include "bpf/abi/event.h"
#include "tests/kernel/kernel_test.h"
#include "tests/support/foreign_program.h"
#include "tests/support/process.h"

namespace postern::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ProverTest : public KernelTest {
 protected:
  ProverTest() { policy_.port = kWatchedPort; }

  void Begin() {
    policy_.deny_errno = config_.deny_errno;
    policy_.generation = sensor_->generation();
    prover_ = std::make_unique<canary::Prover>(
        *sensor_, canary::StartChild, [this](v1::Event event) { failures_.push_back(event); });
    taken_ = ReadEvents().size();
  }
  void Turn() {
    const Events& events = ReadEvents();
    for (; taken_ < events.size(); ++taken_) prover_->Committed(events[taken_]);
    prover_->Turn(policy_);
  }
  // Until it is proven, or known not to be.
  void Prove() {
    Begin();
    EXPECT_TRUE(support::Eventually([this] {
      Turn();
      return prover_->proven().has_value() || !prover_->problem().empty();
    }));
  }
  void DetachHook(const std::string& hook) {
    const UniqueFd link(
        bpf_obj_get(absl::StrCat(bpffs(), "/v", POSTERN_ABI_VERSION, "/links/", hook).c_str()));
    ASSERT_TRUE(link.valid());
    ASSERT_EQ(bpf_link_detach(link.get()), 0);
  }

  canary::Prover::Policy policy_;
  std::unique_ptr<canary::Prover> prover_;
  Events failures_;
  size_t taken_ = 0;
};

TEST_F(ProverTest, APolicyInForceIsProvenInEitherMode) {
  for (const int deny_errno : {EPERM, ECONNREFUSED, EHOSTUNREACH}) {
    config_.deny_errno = deny_errno;
    Monitor({AllowAll()});
    Prove();
    EXPECT_EQ(prover_->problem(), "");
    Enforce({AllowAll()});
    Prove();
    EXPECT_EQ(prover_->problem(), "");
  }
  EXPECT_THAT(failures_, IsEmpty());
  EXPECT_EQ(Counter(POSTERN_COUNTER_CANARIES), 12u);
  for (uint32_t v = POSTERN_VERDICT_ALLOWED; v <= POSTERN_VERDICT_OVER_LIMIT; ++v) {
    EXPECT_EQ(Counter(POSTERN_COUNTER_VERDICT + v), 0u) << v;
  }
  for (const v1::Event& event : ReadEvents()) {
    EXPECT_EQ(event.kind(), v1::Event::CANARY);
    EXPECT_EQ(event.uid(), kNobody);
    EXPECT_EQ(event.euid(), kNobody);
    EXPECT_EQ(event.gid(), kNobody);
    EXPECT_EQ(event.comm(), "posternd-canary");
  }
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child was not reaped";
}

TEST_F(ProverTest, EachHookThatIsGoneIsNoticed) {
  for (const std::string hook : {"connect4", "connect6"}) {
    Enforce({});
    Prove();
    EXPECT_EQ(prover_->problem(), "");
    ASSERT_NO_FATAL_FAILURE(DetachHook(hook));
    Prove();
    EXPECT_THAT(prover_->problem(),
                HasSubstr(absl::StrCat("(", hook, ") passed, and no record of it came")));
    StopSensor();
  }
  ASSERT_EQ(failures_.size(), 2u);
  EXPECT_EQ(failures_[0].verdict(), v1::Event::ALLOWED);
}

TEST_F(ProverTest, AForeignProgramThatLetsPassIsNoticed) {
  config_.deny_errno = ECONNREFUSED;
  Enforce({});
  auto foreign = support::AttachOverride();
  if (absl::IsUnimplemented(foreign.status())) GTEST_SKIP() << foreign.status();
  ASSERT_TRUE(foreign.ok()) << foreign.status();
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("OK")) << "the attack";
  Prove();
  EXPECT_THAT(prover_->problem(), HasSubstr("passed, though Postern denied it"));
  foreign->reset();
  Prove();
  EXPECT_EQ(prover_->problem(), "");
}

TEST_F(ProverTest, ATrackerThatIsGoneIsNoticed) {
  Enforce({});
  ASSERT_EQ(unlink(absl::StrCat(bpffs(), "/v", POSTERN_ABI_VERSION, "/links/fork").c_str()), 0);
  // The kernel takes it down a little later.
  EXPECT_TRUE(support::Eventually([this] {
    Prove();
    return !prover_->problem().empty();
  }));
  EXPECT_THAT(prover_->problem(), HasSubstr("not in the kernel's table of processes"));
}

std::vector<std::string> LinesOfStatus(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

size_t FilesOf(pid_t pid) {
  const std::filesystem::directory_iterator files(absl::StrCat("/proc/", pid, "/fd"));
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

TEST(CanaryChild, ItLeavesFilesGroupsAndRightsBehindBeforeItIsTold) {
  const auto child = canary::StartChild(25);
  ASSERT_TRUE(child.ok()) << child.status();
  const pid_t pid = (*child)->pid();
  EXPECT_TRUE(support::Eventually([pid] {
    const std::vector<std::string> lines = LinesOfStatus(pid);
    return std::count(lines.begin(), lines.end(), "Uid:\t65534\t65534\t65534\t65534") == 1 &&
           std::count(lines.begin(), lines.end(), "Gid:\t65534\t65534\t65534\t65534") == 1 &&
           std::count(lines.begin(), lines.end(), "Groups:\t ") == 1 &&
           std::count(lines.begin(), lines.end(), "CapPrm:\t0000000000000000") == 1;
  })) << ::testing::PrintToString(LinesOfStatus(pid));
  EXPECT_EQ(FilesOf(pid), 2u) << "its two pipes";
}

TEST(CanaryChild, OneThatIsHeldUpIsEnded) {
  auto child = canary::StartChild(25);
  ASSERT_TRUE(child.ok()) << child.status();
  const pid_t pid = (*child)->pid();
  ASSERT_EQ(kill(pid, SIGSTOP), 0);
  (*child)->Go();
  child->reset();
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
}

TEST(CanaryChild, OneThatSomebodyKillsIsFoundSo) {
  auto child = canary::StartChild(25);
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_EQ(kill((*child)->pid(), SIGKILL), 0);
  EXPECT_TRUE(support::Eventually([&] { return !(*child)->Poll().ok(); }));
}

TEST(CanaryChild, ItEndsWithAnAgentThatIsKilled) {
  int tell[2];
  ASSERT_EQ(pipe(tell), 0);
  const pid_t agent = fork();
  if (agent == 0) {
    const auto child = canary::StartChild(25);
    const pid_t pid = child.ok() ? (*child)->pid() : -1;
    [[maybe_unused]] const ssize_t told = write(tell[1], &pid, sizeof(pid));
    for (;;) pause();
  }
  pid_t pid = -1;
  ASSERT_EQ(read(tell[0], &pid, sizeof(pid)), static_cast<ssize_t>(sizeof(pid)));
  ASSERT_GT(pid, 0);
  ASSERT_EQ(kill(agent, SIGKILL), 0);
  ASSERT_EQ(waitpid(agent, nullptr, 0), agent);
  // Gone, or waiting for whoever is its parent now.
  EXPECT_TRUE(support::Eventually([pid] {
    const std::vector<std::string> lines = LinesOfStatus(pid);
    return lines.empty() || std::count(lines.begin(), lines.end(), "State:\tZ (zombie)") == 1;
  }));
  close(tell[0]);
  close(tell[1]);
}

}  // namespace
}  // namespace postern::testing
