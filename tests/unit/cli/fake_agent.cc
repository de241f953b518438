// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cli/fake_agent.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>

#include "gtest/gtest.h"
#include "postern/v1/control.grpc.pb.h"

namespace postern::cli {

class FakeAgent::Server : public v1::Control::CallbackService, public v1::Admin::CallbackService {
 public:
  Server(FakeAgent& agent, const std::string& address) : agent_(agent) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterService(static_cast<v1::Control::CallbackService*>(this));
    builder.RegisterService(static_cast<v1::Admin::CallbackService*>(this));
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

  grpc::ServerUnaryReactor* SetMode(grpc::CallbackServerContext* context,
                                    const v1::SetModeRequest* request,
                                    v1::SetModeResponse* response) override {
    agent_.mode = request->mode();
    *response = agent_.switched;
    return Answer(context);
  }

  grpc::ServerWriteReactor<v1::Event>* Tail(grpc::CallbackServerContext*,
                                            const v1::TailRequest* request) override {
    agent_.tailed = *request;
    return new Tailer(agent_);
  }

 private:
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
    reactor->Finish(agent_.refusal.empty()
                        ? grpc::Status::OK
                        : grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, agent_.refusal));
    return reactor;
  }

  FakeAgent& agent_;
  std::unique_ptr<grpc::Server> server_;
};

FakeAgent::FakeAgent(const std::string& address)
    : server_(std::make_unique<Server>(*this, address)) {}
FakeAgent::~FakeAgent() = default;

}  // namespace postern::cli
