// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/metrics/server.h"
#include "postern/v1/control.grpc.pb.h"
#include "tests/support/free_port.h"
#include "tests/support/http.h"
#include "tests/unit/agent/fakes/fake_canary.h"
#include "tests/unit/agent/fakes/fake_collector.h"
#include "tests/unit/agent/fakes/fake_sensor.h"
#include "tests/unit/agent/temporary_folder.h"

namespace postern::agent {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class AgentTest : public testing::Test {
 protected:
  AgentTest() {
    kernel_.binaries["/usr/bin/env"] = {.device = 1, .path = {.high = 3, .low = 4}};
    Write("");
  }
  ~AgentTest() override { StopAgent(); }

  // The configuration: folders of this test, and `rest`.
  void Write(const std::string& rest) {
    std::ofstream(file_) << "state_dir: " << (folder_ / "state") << "\nrun_dir: " << run_
                         << "\nhost: web1\nevents: " << (folder_ / "events") << "\n"
                         << rest
                         << "rules:\n"
                            "  - {name: env, user: root, exe: /usr/bin/env, action: allow}\n";
  }

  absl::Status TryStart() {
    Options options;
    options.config_file = file_;
    options.group = "no-such-group";
    options.make_sensor =
        [this](const sensor::Options&) -> absl::StatusOr<std::unique_ptr<sensor::Sensor>> {
      return std::make_unique<FakeSensor>(&kernel_);
    };
    options.look_around = [this](const coexist::Subject& subject, const std::atomic<bool>&) {
      return look_around_(subject);
    };
    options.make_canary = FakeCanaries(&kernel_);
    options.take_down = [this](const sensor::Options&) {
      taken_down_ = true;
      kernel_.Detach();
      return absl::OkStatus();
    };
    absl::StatusOr<std::unique_ptr<Agent>> agent = Agent::Create(std::move(options));
    if (!agent.ok()) return agent.status();
    agent_ = *std::move(agent);
    return absl::OkStatus();
  }

  void Start() {
    const absl::Status status = TryStart();
    ASSERT_TRUE(status.ok()) << status;
    thread_ = std::thread([this] { EXPECT_TRUE(agent_->Run().ok()); });
  }

  void StopAgent() {
    if (thread_.joinable()) {
      agent_->Stop();
      thread_.join();
    }
    agent_.reset();
  }

  std::shared_ptr<grpc::Channel> Admin() {
    return grpc::CreateChannel("unix:" + run_ + "/admin.sock", grpc::InsecureChannelCredentials());
  }

  v1::StatusResponse Status() {
    grpc::ClientContext context;
    v1::StatusResponse response;
    const grpc::Status status =
        v1::Control::NewStub(Admin())->Status(&context, v1::StatusRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  v1::SetModeResponse SetMode(const std::string& mode) {
    grpc::ClientContext context;
    v1::SetModeRequest request;
    request.set_mode(mode);
    v1::SetModeResponse response;
    const grpc::Status status = v1::Admin::NewStub(Admin())->SetMode(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  v1::ReloadResponse AskToReload() {
    grpc::ClientContext context;
    v1::ReloadResponse response;
    const grpc::Status status =
        v1::Admin::NewStub(Admin())->Reload(&context, v1::ReloadRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  template <typename Condition>
  void Eventually(const Condition& condition, const char* what) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!condition()) {
      ASSERT_LT(absl::Now(), deadline) << "waited for: " << what;
      absl::SleepFor(absl::Milliseconds(5));
    }
  }

  std::string EventLog() {
    std::ifstream file(folder_ / "events");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  static std::vector<v1::Gap> GapsAt(const FakeCollector& collector) {
    std::vector<v1::Gap> gaps;
    for (const v1::Event& event : collector.events()) {
      if (event.kind() == v1::Event::GAP) gaps.push_back(event.gap());
    }
    return gaps;
  }

  TemporaryFolder folder_;
  const std::string file_ = folder_ / "agent.yaml";
  const std::string run_ = folder_ / "run";
  FakeKernel kernel_;
  std::function<std::vector<std::string>(const coexist::Subject&)> look_around_ =
      [](const coexist::Subject&) { return std::vector<std::string>(); };
  bool taken_down_ = false;
  std::unique_ptr<Agent> agent_;
  std::thread thread_;
};

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

TEST_F(AgentTest, AnAttemptIsInTheLocalLogAndCounted) {
  Start();
  kernel_.Connect(0, POSTERN_VERDICT_WOULD_DENY, "/usr/bin/perl", 0);
  Eventually([&] { return EventLog().find("would_deny") != std::string::npos; }, "the event");
  EXPECT_THAT(EventLog(), HasSubstr("\"rule\":\"env\""));
  EXPECT_THAT(EventLog(), HasSubstr("agent started"));
  EXPECT_EQ(Status().counters().would_deny(), 1u);
  EXPECT_EQ(Status().spool().events(), 0u) << "nobody collects";
}

TEST_F(AgentTest, WhatIsTakenReachesTheCollectorOnceAcrossStops) {
  FakeCollector collector;
  collector.Start(folder_ / "c.sock");
  Write(absl::StrCat("collector: {address: 'unix:", folder_ / "c.sock", "'}\n"));
  Start();
  for (int i = 0; i < 10; ++i) kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  collector.ExpectEvents(11);
  StopAgent();
  kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Start();
  Eventually(
      [&] {
        size_t connects = 0;
        for (const v1::Event& event : collector.events()) {
          connects += event.kind() == v1::Event::CONNECT ? 1 : 0;
        }
        return connects == 11;
      },
      "eleven attempts at the collector");
  EXPECT_EQ(collector.hellos().back().state().mode(), "monitor");
  EXPECT_TRUE(collector.hellos().back().state().healthy());
  EXPECT_EQ(collector.batches_with_holes(), 0u);
}

TEST_F(AgentTest, ACollectorThatIsDownIsAProblemInStatus) {
  Write(absl::StrCat("collector: {address: 'unix:", folder_ / "c.sock", "'}\n"));
  Start();
  Eventually([&] { return !Status().healthy(); }, "status to say that the collector is down");
  EXPECT_THAT(Status().problems(), Contains(HasSubstr("c.sock")));
  kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Eventually([&] { return Status().spool().events() >= 2; }, "events kept in the spool");
}

TEST_F(AgentTest, ASwitchedModeHoldsAcrossRestartsUntilTheFileChanges) {
  Start();
  EXPECT_EQ(SetMode("enforce").generation(), 2u);
  EXPECT_EQ(kernel_.policy().header.enforce, 1u);
  EXPECT_TRUE(Status().mode_overridden());
  StopAgent();
  Start();
  EXPECT_EQ(Status().mode(), "enforce");
  Write("mode: enforce\n");
  agent_->Reload();
  Eventually([&] { return !Status().mode_overridden(); }, "the file's mode to be the same");
  Write("mode: monitor\n");
  agent_->Reload();
  Eventually([&] { return Status().mode() == "monitor"; }, "the file's mode to hold again");
  EXPECT_EQ(kernel_.policy().header.enforce, 0u);
}

TEST_F(AgentTest, EnforcingNamesTheSendersThatMustBeRestarted) {
  const policy::BinaryId env = kernel_.binaries["/usr/bin/env"];
  kernel_.unproven = {{.pid = static_cast<uint32_t>(getpid()), .binary = env, .uid = 0},
                      {.pid = 1, .binary = env, .uid = 33},
                      {.pid = 2, .binary = {.device = 9, .path = {}}, .uid = 0}};
  Start();
  const v1::SetModeResponse response = SetMode("enforce");
  ASSERT_EQ(response.restart_first_size(), 1);
  EXPECT_EQ(response.restart_first(0).pid(), static_cast<uint32_t>(getpid()));
  EXPECT_EQ(response.restart_first(0).exe(), "/usr/bin/env");
  EXPECT_NE(response.restart_first(0).comm(), "");
  EXPECT_EQ(SetMode("monitor").restart_first_size(), 0);
}

TEST_F(AgentTest, AReloadThatIsRefusedChangesNothingAndSaysWhy) {
  Start();
  Write("mode: enforced\n");
  agent_->Reload();
  Eventually([&] { return !Status().healthy(); }, "status to show the refusal");
  EXPECT_THAT(Status().problems(), Contains(HasSubstr(file_ + ":5:")));
  EXPECT_EQ(kernel_.generations(), 1u);
  Write("mode: enforce\n");
  agent_->Reload();
  Eventually([&] { return Status().healthy(); }, "the mended file to be taken");
  EXPECT_EQ(Status().mode(), "enforce");
  EXPECT_EQ(Status().generation(), 2u);
}

TEST_F(AgentTest, AReloadThatTheKernelRefusesChangesNothing) {
  Start();
  std::ofstream(file_, std::ios::app) << "  - {name: x, exe: /usr/bin/perl, action: allow}\n";
  agent_->Reload();
  Eventually([&] { return !Status().healthy(); }, "status to show the refusal");
  EXPECT_EQ(Status().rules(), 1u);
  EXPECT_EQ(kernel_.generations(), 1u);
}

TEST_F(AgentTest, ThePolicyIsShownAsTheKernelHoldsItWithHits) {
  Write("mode: enforce\ndeny_errno: ECONNREFUSED\nports: [25]\n");
  std::ofstream(file_, std::ios::app)
      << "  - {name: web, user: [0, 33], not: {user: 7}, unit: /a/*, limit: 5/h, action: allow}\n";
  Start();
  kernel_.Connect(0, POSTERN_VERDICT_ALLOWED, "/usr/bin/env", 0);
  kernel_.Connect(0, POSTERN_VERDICT_ALLOWED, "/usr/bin/env", 0);
  kernel_.Connect(7, POSTERN_VERDICT_DENIED);
  const auto show = [this] {
    grpc::ClientContext context;
    v1::ShowPolicyResponse response;
    const auto channel =
        grpc::CreateChannel("unix:" + run_ + "/read.sock", grpc::InsecureChannelCredentials());
    const grpc::Status status =
        v1::Control::NewStub(channel)->ShowPolicy(&context, v1::ShowPolicyRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  };
  const v1::ShowPolicyResponse shown = show();
  EXPECT_EQ(shown.generation(), 1u);
  EXPECT_EQ(shown.mode(), "enforce");
  EXPECT_EQ(shown.default_action(), "deny");
  EXPECT_EQ(shown.deny_errno(), "ECONNREFUSED");
  EXPECT_THAT(shown.ports(), ElementsAre(25u));
  ASSERT_EQ(shown.rules_size(), 2);
  EXPECT_EQ(shown.rules(0).name(), "env");
  EXPECT_EQ(shown.rules(0).action(), "allow");
  EXPECT_EQ(shown.rules(0).hits(), 2u);
  EXPECT_EQ(shown.rules(0).fields(0).name(), "user");
  EXPECT_EQ(shown.rules(0).fields(0).values(0), "root (0)");
  EXPECT_EQ(shown.rules(0).fields(1).values(0), "/usr/bin/env");
  EXPECT_EQ(shown.rules(1).action(), "allow");
  EXPECT_EQ(shown.rules(1).limit(), "5/h");
  EXPECT_THAT(shown.rules(1).fields(0).values(), ElementsAre("0", "33"));
  EXPECT_EQ(shown.rules(1).fields(1).values(0), "/a/*");
  EXPECT_EQ(shown.rules(1).fields(2).name(), "not user");
  EXPECT_EQ(shown.default_hits(), 1u);
  EXPECT_THAT(shown.differences(), IsEmpty());
  EXPECT_EQ(shown.config_file(), file_);
  SetMode("monitor");
  EXPECT_EQ(show().mode(), "monitor");
  EXPECT_EQ(show().rules(0).hits(), 0u) << "another generation";
}

// Killed right after the answer, the agent must have it on record.
TEST_F(AgentTest, ASwitchOfTheModeIsOnRecordWhenItIsAnswered) {
  Start();
  for (int switches = 1; switches <= 40; ++switches) {
    EXPECT_EQ(SetMode(switches % 2 == 0 ? "monitor" : "enforce").problem(), "");
    const std::string log = EventLog();
    int recorded = 0;
    for (size_t at = log.find("by hand"); at != std::string::npos;
         at = log.find("by hand", at + 1)) {
      ++recorded;
    }
    ASSERT_EQ(recorded, switches);
  }
}

// No file of this process may grow past so many bytes, as on a disk that is full.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_ = {};
};

TEST_F(AgentTest, TheModeIsSwitchedOnADiskThatIsFullAndTheAnswerSaysWhatIsNotWritten) {
  Start();
  {
    const FileSizeLimit full(0);
    EXPECT_THAT(SetMode("enforce").problem(),
                HasSubstr("would not outlive the agent: cannot write"));
    EXPECT_EQ(kernel_.policy().header.enforce, 1u);
    // Back to what the file says: that needs no file.
    EXPECT_THAT(SetMode("monitor").problem(), HasSubstr("not on record yet"));
    EXPECT_EQ(kernel_.policy().header.enforce, 0u);
  }
  Eventually([&] { return EventLog().find("by hand: mode monitor") != std::string::npos; },
             "the record of the switch once there is room");
  EXPECT_EQ(SetMode("enforce").problem(), "");
}

TEST_F(AgentTest, AnotherPolicyIsTriedOnWhatTheSpoolHas) {
  Start();
  kernel_.Connect(33, POSTERN_VERDICT_WOULD_DENY);
  Eventually([&] { return EventLog().find("would_deny") != std::string::npos; }, "the event");
  const auto stub = v1::Admin::NewStub(Admin());
  grpc::ClientContext reading;
  v1::RecordedRequest since;
  since.set_since_ns(static_cast<uint64_t>(absl::ToUnixNanos(absl::Now() - absl::Hours(1))));
  const auto reader = stub->Recorded(&reading, since);
  v1::RecordedSenders senders;
  v1::Completeness completeness;
  v1::RecordedResponse part;
  while (reader->Read(&part)) {
    if (part.has_completeness()) completeness = part.completeness();
    if (part.event().kind() == v1::Event::CONNECT) *senders.add_senders() = part.event();
  }
  EXPECT_TRUE(reader->Finish().ok());
  ASSERT_EQ(senders.senders_size(), 1);
  EXPECT_EQ(senders.senders(0).uid(), 33u);
  EXPECT_FALSE(completeness.complete()) << "an hour ago there was no agent";
  EXPECT_EQ(completeness.gaps(completeness.gaps_size() - 1).gap().reason(), v1::Gap::NOT_KEPT);

  grpc::ClientContext judging;
  const auto stream = stub->WouldPolicy(&judging);
  v1::WouldPolicyRequest request;
  request.mutable_policy()->set_file("new.yaml");
  request.mutable_policy()->set_text(
      "mode: enforce\nports: [25, 2525]\nrules:\n  - {name: web, user: 33, action: allow}\n");
  v1::WouldPolicyResponse response;
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  EXPECT_TRUE(response.checked().accepted());
  EXPECT_EQ(response.checked().mode(), "enforce");
  EXPECT_THAT(response.checked().new_ports(), ElementsAre(2525u));
  *request.mutable_senders() = senders;
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  ASSERT_EQ(response.judgements().judgements_size(), 1);
  EXPECT_EQ(response.judgements().judgements(0).verdict(), v1::Event::ALLOWED);
  EXPECT_EQ(response.judgements().judgements(0).rules(0), "web");
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  // Nothing of it is in force.
  EXPECT_EQ(kernel_.generations(), 1u);

  grpc::ClientContext refusing;
  const auto refused = stub->WouldPolicy(&refusing);
  request.mutable_policy()->set_file("new.yaml");
  request.mutable_policy()->set_text("mode: enforced\n");
  ASSERT_TRUE(refused->Write(request) && refused->Read(&response));
  EXPECT_FALSE(response.checked().accepted());
  EXPECT_THAT(response.checked().findings(), Contains(HasSubstr("new.yaml:1: ")));
  EXPECT_TRUE(refused->Finish().ok());
}

TEST_F(AgentTest, WhoAsksForAReloadIsToldWhatCameOfIt) {
  Start();
  Write("mode: enforced\n");
  const v1::ReloadResponse refused = AskToReload();
  EXPECT_FALSE(refused.taken());
  EXPECT_EQ(refused.generation(), 1u);
  EXPECT_EQ(refused.mode(), "monitor");
  EXPECT_THAT(refused.findings(), Contains(HasSubstr(file_ + ":5: ")));
  EXPECT_EQ(refused.problem(), "");

  // No fault in the file; the kernel cannot be asked about that binary.
  Write("mode: enforce\n");
  std::ofstream(file_, std::ios::app) << "  - {name: x, exe: /usr/bin/perl, action: allow}\n";
  const v1::ReloadResponse unknown = AskToReload();
  EXPECT_FALSE(unknown.taken());
  EXPECT_THAT(unknown.problem(), HasSubstr("/usr/bin/perl"));
  EXPECT_THAT(unknown.findings(), Contains(HasSubstr("warning: ")));

  Write("mode: enforce\nspool: {max_bytes: 1MiB}\n");
  const v1::ReloadResponse taken = AskToReload();
  EXPECT_TRUE(taken.taken());
  EXPECT_EQ(taken.generation(), 2u);
  EXPECT_EQ(taken.generation(), kernel_.generations());
  EXPECT_EQ(taken.mode(), "enforce");
  EXPECT_EQ(taken.rules(), 1u);
  EXPECT_EQ(taken.config_file(), file_);
  EXPECT_EQ(taken.problem(), "");
  EXPECT_THAT(taken.restart(), HasSubstr("spool"));
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

TEST_F(AgentTest, TimeWithoutHooksIsAGapOfWhichTheCollectorHearsAtOnce) {
  FakeCollector collector;
  collector.Start(folder_ / "c.sock");
  Write(absl::StrCat("on_stop: release\ncollector: {address: 'unix:", folder_ / "c.sock", "'}\n"));
  Start();
  collector.ExpectEvents(1);
  StopAgent();
  EXPECT_EQ(GapsAt(collector).size(), 0u);
  const auto stopped = static_cast<uint64_t>(absl::ToUnixNanos(absl::Now()));
  Start();
  Eventually([&] { return !GapsAt(collector).empty(); }, "the gap");
  const v1::Gap gap = GapsAt(collector).front();
  EXPECT_EQ(gap.reason(), v1::Gap::NOT_WATCHED);
  EXPECT_LE(gap.from_ns(), stopped);
  EXPECT_GE(gap.to_ns(), stopped);
  // Before the gap itself has arrived.
  const uint64_t pending = collector.hellos().back().state().oldest_pending_ns();
  EXPECT_GT(pending, 0u);
  EXPECT_LE(pending, gap.from_ns());
}

TEST_F(AgentTest, TimeWithoutACollectorIsAGapOfWhichTheNextOneHears) {
  FakeCollector collector;
  collector.Start(folder_ / "c.sock");
  const std::string with = absl::StrCat("collector: {address: 'unix:", folder_ / "c.sock", "'}\n");
  Write(with);
  Start();
  collector.ExpectEvents(1);
  Write("");
  agent_->Reload();
  Eventually([&] { return !Status().collector().configured(); }, "the collector to be gone");
  kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Eventually([&] { return EventLog().find("\"connect\"") != std::string::npos; }, "the event");
  const auto alone = static_cast<uint64_t>(absl::ToUnixNanos(absl::Now()));
  StopAgent();
  Start();
  EXPECT_FALSE(Status().collector().configured());
  Write(with);
  agent_->Reload();
  Eventually([&] { return !GapsAt(collector).empty(); }, "the gap");
  const v1::Gap gap = GapsAt(collector).front();
  EXPECT_EQ(gap.reason(), v1::Gap::NO_COLLECTOR);
  EXPECT_LT(gap.from_ns(), alone);
  EXPECT_GT(gap.to_ns(), alone);
  EXPECT_EQ(GapsAt(collector).size(), 1u);
}

TEST_F(AgentTest, LossesInTheKernelAreInTheLogAndInStatus) {
  Start();
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 5);
  Eventually([&] { return EventLog().find("ring_other_full") != std::string::npos; }, "the gap");
  EXPECT_EQ(Status().counters().lost(), 5u);
}

TEST_F(AgentTest, TestPolicyAnswersByThePolicyInForce) {
  Start();
  grpc::ClientContext context;
  v1::TestPolicyRequest request;
  request.set_user("root");
  request.set_exe("/usr/bin/env");
  request.set_to("192.0.2.1:25");
  v1::TestPolicyResponse response;
  const grpc::Status status =
      v1::Control::NewStub(Admin())->TestPolicy(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.rule(), "env");
  EXPECT_EQ(response.generation(), 1u);
}

TEST_F(AgentTest, AHookThatIsLostIsRecordedOncePerChange) {
  Start();
  const std::string lost = "hook connect4 is not attached any more: somebody took it off";
  const auto count = [&](const std::string& text) {
    const std::string log = EventLog();
    size_t times = 0;
    for (size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++times;
    return times;
  };
  kernel_.Detach();
  Eventually([&] { return count(lost) == 1; }, "the loss to be recorded");
  EXPECT_THAT(Status().problems(), Contains(HasSubstr("hook connect4 is not attached")));
  kernel_.Attach();
  Eventually([&] { return count("hook connect4 is attached again") == 1; }, "the return");
  EXPECT_EQ(count(lost), 1u);
  kernel_.Detach();
  Eventually([&] { return count(lost) == 2; }, "the second loss to be recorded");
}

TEST_F(AgentTest, ItProvesItselfAtTheStartAndAfterEachSwitch) {
  FakeCollector collector;
  collector.Start(folder_ / "c.sock");
  Write(absl::StrCat("collector: {address: 'unix:", folder_ / "c.sock", "'}\n"));
  Start();
  Eventually([&] { return Status().has_proven_ns(); }, "the first proof");
  EXPECT_EQ(kernel_.canaries(), 1u);
  EXPECT_THAT(Status().problems(), IsEmpty());
  EXPECT_EQ(Status().counters().canaries(), 2u);
  EXPECT_EQ(Status().counters().denied() + Status().counters().seen(), 0u);
  Eventually([&] { return collector.proofs().size() == 2; }, "its records at the collector");
  const uint64_t first = Status().proven_ns();
  SetMode("enforce");
  Eventually([&] { return Status().proven_ns() > first; }, "the proof of the new generation");
  EXPECT_THAT(EventLog(), Not(HasSubstr("canary")));
}

TEST_F(AgentTest, WhatIsNotProvenIsAProblemAndAnEventUntilItIs) {
  FakeCollector collector;
  collector.Start(folder_ / "c.sock");
  Write(absl::StrCat("collector: {address: 'unix:", folder_ / "c.sock", "'}\n"));
  kernel_.LetPass(true);
  Start();
  Eventually([&] { return !Status().healthy(); }, "status to say so");
  EXPECT_THAT(Status().problems(), ElementsAre(HasSubstr("passed, though Postern denied it")));
  EXPECT_FALSE(Status().has_proven_ns());
  Eventually([&] { return EventLog().find("passed, though") != std::string::npos; }, "the event");
  Eventually(
      [&] {
        for (const v1::Event& event : collector.events()) {
          if (event.kind() == v1::Event::CANARY) return event.host() == "web1";
        }
        return false;
      },
      "the event at the collector");
  kernel_.LetPass(false);
  SetMode("enforce");
  Eventually([&] { return Status().healthy(); }, "the next proof to heal it");
}

TEST_F(AgentTest, AnEarlierConnectionThatStaysOpenIsRecorded) {
  kernel_.not_reset = {"a connection from before the start is denied and stays open"};
  Start();
  Eventually([&] { return absl::StrContains(EventLog(), kernel_.not_reset.front()); },
             "the line to be recorded");
}

TEST_F(AgentTest, TheCollectorHearsWhileAHookIsLost) {
  FakeCollector collector;
  collector.Start(folder_ / "c.sock");
  Write(absl::StrCat("collector: {address: 'unix:", folder_ / "c.sock", "'}\n"));
  Start();
  collector.ExpectEvents(1);
  const auto not_watched = [&] {
    const std::vector<v1::Heartbeat> heartbeats = collector.heartbeats();
    return heartbeats.empty() ? 0 : heartbeats.back().state().not_watched_since_ns();
  };
  kernel_.Detach();
  Eventually([&] { return not_watched() != 0; }, "the collector to hear of the loss");
  kernel_.Attach();
  Eventually([&] { return not_watched() == 0; }, "the collector to hear of the return");
  Eventually([&] { return !GapsAt(collector).empty(); }, "the gap");
  EXPECT_EQ(GapsAt(collector).front().reason(), v1::Gap::NOT_WATCHED);
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

TEST_F(AgentTest, WhatWaitsForTheNextStartIsSaidUntilTheFileSaysOtherwise) {
  Start();
  const auto notes = [&] { return Status().notes_size(); };
  const int before = notes();
  Write("spool: {max_bytes: 64MiB}\nbpffs: /sys/fs/bpf/elsewhere\n");
  agent_->Reload();
  Eventually([&] { return notes() > before; }, "the note");
  EXPECT_THAT(Status().notes(),
              Contains(file_ + ": 'bpffs', 'spool.max_bytes' have changed and take effect at the "
                               "next start"));
  // What holds is what the agent started with, whatever it has read since.
  agent_->Reload();
  Eventually([&] { return kernel_.generations() == 3; }, "the second reload");
  EXPECT_GT(notes(), before);
  Write("");
  agent_->Reload();
  Eventually([&] { return notes() == before; }, "the note to go");
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

TEST_F(AgentTest, AnEventLogThatCannotBeOpenedIsAProblemUntilItCanBe) {
  std::filesystem::create_directory(folder_ / "events");
  Write("mode: enforce\n");
  Start();
  EXPECT_TRUE(kernel_.attached());
  EXPECT_THAT(Status().problems(), ElementsAre(HasSubstr("events file " + (folder_ / "events"))));
  std::filesystem::remove(folder_ / "events");
  kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Eventually([&] { return EventLog().find("denied") != std::string::npos; }, "the event");
  EXPECT_THAT(Status().problems(), IsEmpty());
}

TEST_F(AgentTest, AfterARotationTheEventLogIsWrittenAnew) {
  Start();
  Eventually([&] { return !EventLog().empty(); }, "the first event");
  std::filesystem::rename(folder_ / "events", folder_ / "events.1");
  agent_->Reload();
  Eventually([&] { return EventLog().find("read again") != std::string::npos; }, "the new file");
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
