// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/metrics/server.h"
#include "tests/support/free_port.h"
#include "tests/support/http.h"
#include "tests/unit/agent/composition/agent_fixture.h"
#include "tests/unit/agent/fakes/fake_sensor.h"

namespace postern::agent {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST_F(AgentTest, ItJudgesByTheFileAndSaysSo) {
  Write("mode: enforce\n");
  Start();
  EXPECT_TRUE(kernel_.attached());
  EXPECT_EQ(kernel_.policy().header.enforce, 1u);
  const v1::StatusResponse status = Status();
  EXPECT_TRUE(status.healthy());
  EXPECT_THAT(status.problems(), IsEmpty());
  EXPECT_EQ(status.host(), "web1");
  EXPECT_EQ(status.mode(), "enforce");
  EXPECT_FALSE(status.mode_overridden());
  EXPECT_EQ(status.generation(), 1u);
  EXPECT_EQ(status.rules(), 1u);
  EXPECT_EQ(status.config_file(), file_);
  EXPECT_FALSE(status.collector().configured());
  EXPECT_EQ(status.hooks_size(), 2);
}

TEST_F(AgentTest, ACollectorThatIsDownIsAProblemInStatus) {
  Write(absl::StrCat("collector: {address: 'unix:", folder_ / "c.sock", "'}\n"));
  Start();
  Eventually([&] { return !Status().healthy(); }, "status to say that the collector is down");
  EXPECT_THAT(Status().problems(), Contains(HasSubstr("c.sock")));
  kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Eventually([&] { return Status().spool().events() >= 2; }, "events kept in the spool");
}

TEST_F(AgentTest, AConfigurationRefusedAtStartLeavesTheLastGoodOneInForce) {
  Write("mode: enforce\n");
  Start();
  StopAgent();
  Write("mode: enforced\n");
  Start();
  EXPECT_EQ(kernel_.policy().header.enforce, 1u);
  const v1::StatusResponse status = Status();
  EXPECT_FALSE(status.healthy());
  EXPECT_THAT(status.problems(), Contains(HasSubstr("is refused")));
}

TEST_F(AgentTest, AConfigurationRefusedAtTheFirstStartAttachesNothing) {
  Write("mode: enforced\n");
  EXPECT_EQ(TryStart().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(kernel_.attached());
}

TEST_F(AgentTest, ARunDirThatCannotBeUsedAttachesNothing) {
  std::ofstream(run_) << "a file";
  EXPECT_THAT(std::string(TryStart().message()), HasSubstr("run_dir"));
  EXPECT_FALSE(kernel_.attached());
  EXPECT_EQ(kernel_.generations(), 0u);
}

TEST_F(AgentTest, APolicyTheKernelRefusesAttachesNothing) {
  kernel_.publish_error = absl::InternalError("no room for a policy");
  EXPECT_THAT(std::string(TryStart().message()), HasSubstr("no room for a policy"));
  EXPECT_FALSE(kernel_.attached());
}

TEST_F(AgentTest, AnotherAgentOnTheSameStateIsRefused) {
  Start();
  const auto lock = TryStart();
  EXPECT_THAT(std::string(lock.message()), HasSubstr("another posternd"));
}

TEST_F(AgentTest, AnotherAgentOnTheSameSocketsIsRefused) {
  Start();
  const std::string file = folder_ / "second.yaml";
  std::ofstream(file) << "state_dir: " << (folder_ / "second") << "\nrun_dir: " << run_ << "\n";
  FakeKernel untouched;
  Options options;
  options.config_file = file;
  options.make_sensor =
      [&](const sensor::Options&) -> absl::StatusOr<std::unique_ptr<sensor::Sensor>> {
    return std::make_unique<FakeSensor>(&untouched);
  };
  EXPECT_THAT(std::string(Agent::Create(std::move(options)).status().message()),
              HasSubstr(absl::StrCat("another posternd uses run_dir ", run_, " (pid ", getpid())));
  EXPECT_FALSE(untouched.attached());
  EXPECT_EQ(Status().host(), "web1");
}

TEST_F(AgentTest, StoppingKeepsOrReleasesAsTheFileSays) {
  Start();
  StopAgent();
  EXPECT_FALSE(taken_down_);
  for (const char* socket : {"admin.sock", "read.sock"}) {
    EXPECT_FALSE(std::filesystem::exists(absl::StrCat(run_, "/", socket))) << socket;
  }
  EXPECT_THAT(EventLog(), HasSubstr("agent stopped: the policy stays in force"));
  Write("on_stop: release\n");
  Start();
  testing::internal::CaptureStderr();
  StopAgent();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("agent stopped: nothing is judged"));
  EXPECT_TRUE(taken_down_);
}

TEST_F(AgentTest, APolicyThatNoAgentWatchesIsNamedAtStartAndInStatus) {
  sensor::OtherProgram orphan;
  orphan.id = 77;
  orphan.name = "judge_connect4";
  orphan.is_postern = true;
  orphan.pin_folder = "/sys/fs/bpf/old";
  kernel_.SetOthers({orphan});
  Start();
  const std::string named = "program 77 (judge_connect4) on connect4, pinned in /sys/fs/bpf/old";
  Eventually([&] { return EventLog().find(named) != std::string::npos; }, "the record of it");
  const v1::StatusResponse status = Status();
  EXPECT_FALSE(status.healthy());
  EXPECT_THAT(status.problems(),
              Contains(AllOf(HasSubstr(named), HasSubstr("`bpffs: /sys/fs/bpf/old`"))));
  kernel_.SetOthers({});
  EXPECT_TRUE(Status().healthy());
}

TEST_F(AgentTest, ProgramsOfOthersAreShownAndAreNoProblem) {
  sensor::OtherProgram balancer;
  balancer.id = 5;
  balancer.name = "balance4";
  sensor::OtherProgram last;
  last.id = 6;
  last.name = "late4";
  last.runs_after = true;
  sensor::OtherProgram second;
  second.id = 7;
  second.name = "judge_connect4";
  second.is_postern = second.has_agent = second.runs_after = true;
  second.pin_folder = "/sys/fs/bpf/second";
  Start();
  kernel_.SetOthers({balancer, last, second});
  const v1::StatusResponse status = Status();
  EXPECT_TRUE(status.healthy());
  ASSERT_EQ(status.hooks(0).others_size(), 3);
  EXPECT_EQ(status.hooks(0).others(0).name(), "balance4");
  EXPECT_FALSE(status.hooks(0).others(0).runs_after());
  EXPECT_TRUE(status.hooks(0).others(1).runs_after());
  EXPECT_TRUE(status.hooks(0).others(2).has_agent());
  EXPECT_EQ(status.hooks(0).others(2).pin_folder(), "/sys/fs/bpf/second");
  Eventually(
      [&] { return EventLog().find("program 6 (late4) runs after ours") != std::string::npos; },
      "the record of who could let pass what is denied");
  EXPECT_THAT(EventLog(), Not(HasSubstr("balance4")));
}

TEST_F(AgentTest, WithoutTheGroupStatusSaysWhoCannotRead) {
  Start();
  const v1::StatusResponse status = Status();
  EXPECT_TRUE(status.healthy());
  EXPECT_THAT(status.notes(), ElementsAre(HasSubstr("no group no-such-group")));
}

TEST_F(AgentTest, WhatElseDecidesAboutMailIsLookedForAtStartAndReload) {
  look_around_ = [this](const coexist::Subject& subject) -> std::vector<std::string> {
    EXPECT_THAT(subject.own_paths, Contains(folder_ / "state"));
    if (subject.ports.count(2525) > 0) return {};
    EXPECT_THAT(subject.ports, ElementsAre(25, 465, 587));
    return {"a rule that drops port 25"};
  };
  Start();
  const auto is_noted = [&] {
    const v1::StatusResponse status = Status();
    EXPECT_TRUE(status.healthy());
    return std::find(status.notes().begin(), status.notes().end(), "a rule that drops port 25") !=
           status.notes().end();
  };
  Eventually(is_noted, "what the look found");
  Write("ports: [2525]\n");
  agent_->Reload();
  Eventually([&] { return !is_noted(); }, "the look after the reload");
}

TEST_F(AgentTest, ARemovedRunDirIsMadeAgain) {
  Start();
  const auto channel = Admin();
  std::filesystem::remove_all(run_);
  Eventually([&] { return std::filesystem::exists(run_ + "/read.sock"); }, "the sockets");
  EXPECT_EQ(Status().host(), "web1");
}

TEST_F(AgentTest, AStateFolderThatChangesByAReloadIsNotUsedBeforeTheNextStart) {
  Start();
  std::filesystem::create_directory(folder_ / "other");
  const auto write = [&](const std::string& mode) {
    std::ofstream(file_) << "state_dir: " << (folder_ / "other") << "\nrun_dir: " << run_
                         << "\nhost: web1\nevents: " << (folder_ / "events") << "\nmode: " << mode
                         << "\nrules: []\n";
  };
  write("monitor");
  agent_->Reload();
  Eventually([&] { return kernel_.generations() == 2; }, "the first reload");
  write("enforce");
  agent_->Reload();
  Eventually([&] { return Status().mode() == "enforce"; }, "the second reload");
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "other"));
  std::ifstream kept(folder_ / "state/last-good.yaml");
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(kept), {}), HasSubstr("mode: enforce"));
}

TEST_F(AgentTest, MetricsSayWhatStatusSays) {
  const std::string address = "127.0.0.1:" + support::FreePort();
  Write(absl::StrCat("mode: enforce\nmetrics: ", address, "\n"));
  kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Start();
  const support::HttpAnswer answer = support::Ask(address, "/metrics");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body, HasSubstr("\npostern_agent_attempts_total{verdict=\"denied\"} 1\n"));
  EXPECT_THAT(answer.body, HasSubstr("\npostern_agent_enforcing 1\n"));
  EXPECT_THAT(answer.body, HasSubstr("rule=\"env\",action=\"allow\"} 0\n"));
  EXPECT_THAT(answer.body, Not(HasSubstr("postern_agent_uplink"))) << "nobody collects";
  StopAgent();
  EXPECT_EQ(support::Ask(address, "/metrics").status, 0);
}

TEST_F(AgentTest, MetricsAreNotServedUnlessAskedFor) {
  const std::string address = "127.0.0.1:" + support::FreePort();
  Start();
  EXPECT_EQ(support::Ask(address, "/metrics").status, 0);
  Write(absl::StrCat("metrics: ", address, "\n"));
  EXPECT_TRUE(AskToReload().taken());
  Eventually([&] { return support::Ask(address, "/metrics").status == 200; }, "metrics");
  Write("");
  EXPECT_TRUE(AskToReload().taken());
  Eventually([&] { return support::Ask(address, "/metrics").status == 0; }, "no metrics");
}

TEST_F(AgentTest, AnAddressForMetricsThatAnotherHasStopsNothingAndIsTold) {
  const std::string address = "127.0.0.1:" + support::FreePort();
  auto other = metrics::Server::Start(address, [] { return std::vector<metrics::Family>(); });
  ASSERT_TRUE(other.ok()) << other.status();
  Write(absl::StrCat("mode: enforce\nmetrics: ", address, "\n"));
  Start();
  EXPECT_TRUE(kernel_.attached());
  EXPECT_THAT(Status().problems(),
              ElementsAre(AllOf(HasSubstr(address), HasSubstr("another program has that port"))));
  // Tried again by itself.
  other->reset();
  Eventually([&] { return Status().healthy(); }, "metrics");
  EXPECT_EQ(support::Ask(address, "/metrics").status, 200);
}

}  // namespace
}  // namespace postern::agent
