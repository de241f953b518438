// SPDX-License-Identifier: Apache-2.0
// The policy in force, and how it changes.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>

#include "absl/time/clock.h"
#include "postern/v1/control.grpc.pb.h"
#include "tests/unit/agent/composition/agent_fixture.h"

namespace postern::agent {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

}  // namespace
}  // namespace postern::agent
