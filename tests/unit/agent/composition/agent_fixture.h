// SPDX-License-Identifier: Apache-2.0
// The whole agent over a kernel, canaries and neighbours of the test's own.
#ifndef POSTERN_TESTS_UNIT_AGENT_COMPOSITION_AGENT_FIXTURE_H_
#define POSTERN_TESTS_UNIT_AGENT_COMPOSITION_AGENT_FIXTURE_H_

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/agent.h"
#include "postern/v1/control.grpc.pb.h"
#include "tests/support/eventually.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/agent/fakes/fake_canary.h"
#include "tests/unit/agent/fakes/fake_collector.h"
#include "tests/unit/agent/fakes/fake_sensor.h"

namespace postern::agent {

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
    ASSERT_TRUE(support::Eventually(condition)) << "waited for: " << what;
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

}  // namespace postern::agent

#endif  // POSTERN_TESTS_UNIT_AGENT_COMPOSITION_AGENT_FIXTURE_H_
