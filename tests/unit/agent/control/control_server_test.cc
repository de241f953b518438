// SPDX-License-Identifier: Apache-2.0
#include "agent/control/control_server.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <thread>

#include "absl/time/clock.h"
#include "postern/v1/control.grpc.pb.h"
#include "tests/support/idle_connections.h"
#include "tests/support/temporary_folder.h"

namespace postern::control {
namespace {

using testing::HasSubstr;

class FakeAgent : public StatusSource,
                  public PolicyTester,
                  public ModeSwitch,
                  public PolicyKeeper,
                  public PolicyWorkshop {
 public:
  absl::StatusOr<v1::StatusResponse> GetStatus() override {
    on_status_();
    v1::StatusResponse status;
    status.set_host("web1");
    return status;
  }
  absl::StatusOr<v1::TestPolicyResponse> TestPolicy(const v1::TestPolicyRequest& request) override {
    if (request.user() == "nobody-such") {
      return absl::InvalidArgumentError("no user is called nobody-such");
    }
    v1::TestPolicyResponse response;
    response.set_rule("postfix");
    return response;
  }
  absl::StatusOr<v1::SetModeResponse> SetMode(bool enforce) override {
    enforce_ = enforce;
    v1::SetModeResponse response;
    response.set_generation(7);
    return response;
  }

  absl::StatusOr<v1::ReloadResponse> Reload() override { return v1::ReloadResponse(); }
  absl::StatusOr<v1::ShowPolicyResponse> ShowPolicy() override { return v1::ShowPolicyResponse(); }

  class Trial : public PolicyTrial {
   public:
    explicit Trial(bool accepted) { checked_.set_accepted(accepted); }
    v1::CheckedPolicy checked() const override { return checked_; }
    v1::Judgements Judge(const v1::RecordedSenders& senders) override {
      v1::Judgements judgements;
      for (const v1::Event& sender : senders.senders()) {
        judgements.add_judgements()->add_rules(sender.user());
      }
      return judgements;
    }

   private:
    v1::CheckedPolicy checked_;
  };
  absl::StatusOr<std::unique_ptr<PolicyTrial>> TryPolicy(const v1::PolicyText& text) override {
    return std::make_unique<Trial>(text.text() == "good");
  }
  v1::ExaminedBinary ExamineBinary(const std::string& path) override {
    v1::ExaminedBinary examined;
    examined.set_problem(path);
    return examined;
  }
  absl::StatusOr<v1::Completeness> ReadRecorded(
      const v1::RecordedRequest& request,
      const std::function<bool(const v1::Event&)>& on_event) override {
    v1::Event event;
    event.set_time_ns(request.since_ns());
    if (!on_event(event)) return absl::CancelledError("");
    v1::Completeness completeness;
    completeness.set_complete(true);
    return completeness;
  }

  bool enforce_ = false;
  std::function<void()> on_status_ = [] {};
};

class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() {
    auto server = ControlServer::Create(run_, "no-such-group",
                                        {&agent_, &agent_, &agent_, &feed_, &agent_, &agent_});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::shared_ptr<grpc::Channel> Channel(const std::string& name) {
    return grpc::CreateChannel("unix:" + run_ + "/" + name, grpc::InsecureChannelCredentials());
  }

  // Although the connection may be refused at first.
  bool AnswersSoon(const std::string& name) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    context.set_wait_for_ready(true);
    v1::StatusResponse response;
    return v1::Control::NewStub(Channel(name))
        ->Status(&context, v1::StatusRequest(), &response)
        .ok();
  }

  TemporaryFolder folder_;
  const std::string run_ = folder_ / "run";
  FakeAgent agent_;
  EventFeed feed_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlServerTest, BothSocketsAnswerStatus) {
  for (const char* name : {"read.sock", "admin.sock"}) {
    grpc::ClientContext context;
    v1::StatusResponse response;
    const grpc::Status status =
        v1::Control::NewStub(Channel(name))->Status(&context, v1::StatusRequest(), &response);
    EXPECT_TRUE(status.ok()) << name << ": " << status.error_message();
    EXPECT_EQ(response.host(), "web1") << name;
  }
}

TEST_F(ControlServerTest, TheModeIsSwitchedOnTheAdminSocketAlone) {
  v1::SetModeRequest request;
  request.set_mode("enforce");
  v1::SetModeResponse response;
  {
    grpc::ClientContext context;
    EXPECT_EQ(v1::Admin::NewStub(Channel("read.sock"))
                  ->SetMode(&context, request, &response)
                  .error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
    EXPECT_FALSE(agent_.enforce_);
  }
  grpc::ClientContext context;
  EXPECT_TRUE(
      v1::Admin::NewStub(Channel("admin.sock"))->SetMode(&context, request, &response).ok());
  EXPECT_TRUE(agent_.enforce_);
  EXPECT_EQ(response.generation(), 7u);
}

TEST_F(ControlServerTest, AModeThatIsNoneIsRefused) {
  v1::SetModeRequest request;
  request.set_mode("Enforce");
  v1::SetModeResponse response;
  grpc::ClientContext context;
  EXPECT_EQ(
      v1::Admin::NewStub(Channel("admin.sock"))->SetMode(&context, request, &response).error_code(),
      grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ControlServerTest, AnErrorOfTheAgentReachesTheCaller) {
  v1::TestPolicyRequest request;
  request.set_user("nobody-such");
  v1::TestPolicyResponse response;
  grpc::ClientContext context;
  const grpc::Status status =
      v1::Control::NewStub(Channel("read.sock"))->TestPolicy(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "no user is called nobody-such");
}

TEST_F(ControlServerTest, TailGivesWhatHappensFromItsBeginOn) {
  const auto stub = v1::Control::NewStub(Channel("read.sock"));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
  const auto reader = stub->Tail(&context, v1::TailRequest());
  reader->WaitForInitialMetadata();
  for (uint64_t seq = 1; seq <= 3; ++seq) {
    v1::Event event;
    event.set_seq(seq);
    feed_.Publish(event);
  }
  v1::Event event;
  for (uint64_t seq = 1; seq <= 3; ++seq) {
    ASSERT_TRUE(reader->Read(&event));
    EXPECT_EQ(event.seq(), seq);
  }
  context.TryCancel();
}

TEST_F(ControlServerTest, TailLeavesOutCanariesThatWereDeniedUnlessAskedForThem) {
  const auto stub = v1::Control::NewStub(Channel("read.sock"));
  v1::Event proof;
  proof.set_kind(v1::Event::CANARY);
  proof.set_verdict(v1::Event::DENIED);
  v1::Event failed;
  failed.set_kind(v1::Event::CANARY);
  failed.set_verdict(v1::Event::ALLOWED);
  for (const bool canaries : {false, true}) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    v1::TailRequest request;
    request.set_canaries(canaries);
    const auto reader = stub->Tail(&context, request);
    reader->WaitForInitialMetadata();
    feed_.Publish(proof);
    feed_.Publish(failed);
    v1::Event first;
    ASSERT_TRUE(reader->Read(&first));
    EXPECT_EQ(first.verdict(), canaries ? v1::Event::DENIED : v1::Event::ALLOWED);
    context.TryCancel();
  }
}

TEST_F(ControlServerTest, StoppingEndsTails) {
  const auto stub = v1::Control::NewStub(Channel("read.sock"));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
  const auto reader = stub->Tail(&context, v1::TailRequest());
  reader->WaitForInitialMetadata();
  server_.reset();
  v1::Event event;
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_NE(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(ControlServerTest, SocketsThatSomebodyRemovedAreMadeAgain) {
  for (const std::string& gone : {run_ + "/read.sock", run_ + "/admin.sock", run_}) {
    std::filesystem::remove_all(gone);
    ASSERT_TRUE(server_->KeepSockets().ok()) << gone;
    for (const char* name : {"read.sock", "admin.sock"}) {
      EXPECT_TRUE(AnswersSoon(name)) << gone << ", " << name;
    }
  }
  server_.reset();
  EXPECT_TRUE(std::filesystem::is_empty(run_));
}

TEST_F(ControlServerTest, ACallThatWaitsForWhoMakesASocketAgainHoldsNobodyUp) {
  std::promise<void> asked;
  std::promise<void> answered;
  agent_.on_status_ = [&] {
    asked.set_value();
    answered.get_future().wait();
  };
  std::thread caller([&] {
    grpc::ClientContext context;
    v1::StatusResponse response;
    const grpc::Status status = v1::Control::NewStub(Channel("read.sock"))
                                    ->Status(&context, v1::StatusRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  });
  asked.get_future().wait();
  std::filesystem::remove(run_ + "/read.sock");
  // By a thread of its own, so that a test that fails ends too.
  auto kept = std::async(std::launch::async, [&] { return server_->KeepSockets().ok(); });
  EXPECT_EQ(kept.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  answered.set_value();
  EXPECT_TRUE(kept.get());
  EXPECT_TRUE(std::filesystem::exists(run_ + "/read.sock"));
  caller.join();
}

TEST_F(ControlServerTest, ReadersThatHoldMoreConnectionsThanThereAreFilesStopNobodyElse) {
  const support::FileLimit limit(256);
  {
    const support::IdleConnections readers(run_ + "/read.sock", 400);
    ASSERT_EQ(readers.made(), 400);
    for (const char* mode : {"enforce", "monitor", "enforce"}) {
      v1::SetModeRequest request;
      request.set_mode(mode);
      v1::SetModeResponse response;
      grpc::ClientContext context;
      context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
      const grpc::Status status =
          v1::Admin::NewStub(Channel("admin.sock"))->SetMode(&context, request, &response);
      EXPECT_TRUE(status.ok()) << mode << ": " << status.error_message();
    }
    EXPECT_TRUE(agent_.enforce_);
  }
  for (const char* name : {"read.sock", "admin.sock"}) {
    EXPECT_TRUE(AnswersSoon(name)) << name;
  }
}

TEST_F(ControlServerTest, WhatIsAnothersStaysAndIsSaid) {
  std::filesystem::remove(run_ + "/read.sock");
  std::ofstream(run_ + "/read.sock") << "another's";
  EXPECT_THAT(std::string(server_->KeepSockets().message()),
              HasSubstr("read.sock is not this agent's any more"));
  server_.reset();
  EXPECT_TRUE(std::filesystem::exists(run_ + "/read.sock"));
}

TEST_F(ControlServerTest, AFolderThatCannotBeMadeIsSaidAndTriedAgain) {
  std::filesystem::remove_all(run_);
  std::ofstream(run_) << "no folder";
  EXPECT_THAT(std::string(server_->KeepSockets().message()), HasSubstr(run_));
  std::filesystem::remove(run_);
  EXPECT_TRUE(server_->KeepSockets().ok());
  EXPECT_TRUE(std::filesystem::exists(run_ + "/admin.sock"));
}

TEST_F(ControlServerTest, TheAdminSocketIsTheOwnersAlone) {
  struct stat file = {};
  ASSERT_EQ(stat((run_ + "/admin.sock").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
}

TEST_F(ControlServerTest, SendersAreJudgedByAPolicyOnTrialInTheirOrder) {
  grpc::ClientContext context;
  const auto stub = v1::Admin::NewStub(Channel("admin.sock"));
  const auto stream = stub->WouldPolicy(&context);
  v1::WouldPolicyRequest request;
  request.mutable_policy()->set_text("good");
  v1::WouldPolicyResponse response;
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  EXPECT_TRUE(response.checked().accepted());
  for (const char* user : {"a", "b"}) {
    request.mutable_senders()->clear_senders();
    request.mutable_senders()->add_senders()->set_user(user);
    request.mutable_senders()->add_senders()->set_user("c");
    ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
    ASSERT_EQ(response.judgements().judgements_size(), 2);
    EXPECT_EQ(response.judgements().judgements(0).rules(0), user);
    EXPECT_EQ(response.judgements().judgements(1).rules(0), "c");
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ControlServerTest, ARefusedPolicyJudgesNothing) {
  grpc::ClientContext context;
  const auto stub = v1::Admin::NewStub(Channel("admin.sock"));
  const auto stream = stub->WouldPolicy(&context);
  v1::WouldPolicyRequest request;
  request.mutable_policy()->set_text("bad");
  v1::WouldPolicyResponse response;
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  EXPECT_FALSE(response.checked().accepted());
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());

  grpc::ClientContext second;
  const auto senders_first = stub->WouldPolicy(&second);
  request.mutable_senders()->add_senders();
  senders_first->Write(request);
  EXPECT_EQ(senders_first->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ControlServerTest, TheRecordAndThePolicyAreRootsAlone) {
  for (const char* socket : {"admin.sock", "read.sock"}) {
    const auto expected = std::string(socket) == "admin.sock" ? grpc::StatusCode::OK
                                                              : grpc::StatusCode::UNIMPLEMENTED;
    const auto stub = v1::Admin::NewStub(Channel(socket));
    grpc::ClientContext context;
    v1::RecordedRequest request;
    request.set_since_ns(7);
    const auto reader = stub->Recorded(&context, request);
    v1::RecordedResponse response;
    int responses = 0;
    while (reader->Read(&response)) ++responses;
    EXPECT_EQ(reader->Finish().error_code(), expected) << socket;
    EXPECT_EQ(responses, expected == grpc::StatusCode::OK ? 2 : 0);
    grpc::ClientContext reload;
    v1::ReloadResponse reloaded;
    EXPECT_EQ(stub->Reload(&reload, v1::ReloadRequest(), &reloaded).error_code(), expected);
  }
}

}  // namespace
}  // namespace postern::control
