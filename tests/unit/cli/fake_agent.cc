// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cli/fake_agent.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>

#include "gtest/gtest.h"
#include "postern/v1/control.grpc.pb.h"

namespace postern::cli {

class FakeAgent::Server : public v1::Control::CallbackService {
 public:
  Server(FakeAgent& agent, const std::string& address) : agent_(agent), admin_(agent) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterService(static_cast<v1::Control::CallbackService*>(this));
    builder.RegisterService(&admin_);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr) << address;
  }
  ~Server() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* context, const v1::StatusRequest*,
                                   v1::StatusResponse* response) override {
    *response = agent_.status;
    return Answer(context);
  }

  grpc::ServerUnaryReactor* TestPolicy(grpc::CallbackServerContext* context,
                                       const v1::TestPolicyRequest* request,
                                       v1::TestPolicyResponse* response) override {
    agent_.asked = *request;
    *response = agent_.judgement;
    return Answer(context);
  }

  grpc::ServerUnaryReactor* ShowPolicy(grpc::CallbackServerContext* context,
                                       const v1::ShowPolicyRequest*,
                                       v1::ShowPolicyResponse* response) override {
    *response = agent_.shown;
    return Answer(context);
  }

  grpc::ServerWriteReactor<v1::Event>* Tail(grpc::CallbackServerContext*,
                                            const v1::TailRequest* request) override {
    agent_.tailed = *request;
    return new Tailer(agent_);
  }

 private:
  // Needs no reactors: nothing of it goes on until the caller leaves.
  class Admin : public v1::Admin::Service {
   public:
    explicit Admin(FakeAgent& agent) : agent_(agent) {}

    grpc::Status SetMode(grpc::ServerContext*, const v1::SetModeRequest* request,
                         v1::SetModeResponse* response) override {
      agent_.mode = request->mode();
      *response = agent_.switched;
      return agent_.Outcome();
    }
    grpc::Status Reload(grpc::ServerContext*, const v1::ReloadRequest*,
                        v1::ReloadResponse* response) override {
      *response = agent_.reloaded;
      return agent_.Outcome();
    }
    grpc::Status Recorded(grpc::ServerContext*, const v1::RecordedRequest* request,
                          grpc::ServerWriter<v1::RecordedResponse>* writer) override {
      agent_.recorded = *request;
      v1::RecordedResponse response;
      for (const v1::Event& event : agent_.events) {
        *response.mutable_event() = event;
        writer->Write(response);
      }
      *response.mutable_completeness() = agent_.completeness;
      writer->Write(response);
      return agent_.Outcome();
    }
    grpc::Status WouldPolicy(grpc::ServerContext*,
                             grpc::ServerReaderWriter<v1::WouldPolicyResponse,
                                                      v1::WouldPolicyRequest>* stream) override {
      v1::WouldPolicyRequest request;
      v1::WouldPolicyResponse response;
      stream->Read(&request);
      agent_.tried = request.policy();
      *response.mutable_checked() = agent_.checked;
      stream->Write(response);
      while (agent_.checked.accepted() && stream->Read(&request)) {
        v1::Judgements& judgements = *response.mutable_judgements();
        judgements.Clear();
        for (const v1::Event& sender : request.senders().senders()) {
          *judgements.add_judgements() = agent_.judge(sender);
        }
        stream->Write(response);
      }
      return agent_.Outcome();
    }
    grpc::Status ExamineBinaries(grpc::ServerContext*, const v1::ExamineBinariesRequest* request,
                                 v1::ExamineBinariesResponse* response) override {
      for (const std::string& path : request->paths()) {
        const auto problem = agent_.untrusted.find(path);
        v1::ExaminedBinary& binary = *response->add_binaries();
        binary.set_trusted(problem == agent_.untrusted.end());
        if (!binary.trusted()) binary.set_problem(problem->second);
      }
      return agent_.Outcome();
    }

   private:
    FakeAgent& agent_;
  };

  // Deletes itself when the call is done.
  class Tailer : public grpc::ServerWriteReactor<v1::Event> {
   public:
    explicit Tailer(FakeAgent& agent) : agent_(agent) { Next(); }
    void OnWriteDone(bool ok) override {
      if (ok) {
        Next();
      } else {
        End();
      }
    }
    void OnCancel() override { End(); }
    void OnDone() override { delete this; }

   private:
    void Next() {
      if (next_ < agent_.events.size()) {
        StartWrite(&agent_.events[next_++]);
        return;
      }
      if (agent_.on_sent) agent_.on_sent();
      if (!agent_.keeps_tailing) End();
    }
    void End() {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!ended_) Finish(grpc::Status::OK);
      ended_ = true;
    }

    FakeAgent& agent_;
    size_t next_ = 0;
    std::mutex mutex_;
    bool ended_ = false;
  };

  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context) const {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(agent_.Outcome());
    return reactor;
  }

  FakeAgent& agent_;
  Admin admin_;
  std::unique_ptr<grpc::Server> server_;
};

FakeAgent::FakeAgent(const std::string& address)
    : server_(std::make_unique<Server>(*this, address)) {}
FakeAgent::~FakeAgent() = default;

grpc::Status FakeAgent::Outcome() const {
  return refusal.empty() ? grpc::Status::OK
                         : grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, refusal);
}

}  // namespace postern::cli
