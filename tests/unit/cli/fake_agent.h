// SPDX-License-Identifier: Apache-2.0
// An agent that answers what a test tells it to, over gRPC on a real socket.
#ifndef POSTERN_TESTS_UNIT_CLI_FAKE_AGENT_H_
#define POSTERN_TESTS_UNIT_CLI_FAKE_AGENT_H_

#include <grpcpp/support/status.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "postern/v1/control.pb.h"

namespace postern::cli {

// Set the answers before the call that asks for them.
class FakeAgent {
 public:
  // `address`: unix:PATH.
  explicit FakeAgent(const std::string& address);
  ~FakeAgent();

  v1::StatusResponse status;
  v1::TestPolicyResponse judgement;
  v1::SetModeResponse switched;
  v1::ReloadResponse reloaded;
  v1::ShowPolicyResponse shown;
  // What became of another policy, and how it judges each sender.
  v1::CheckedPolicy checked;
  std::function<v1::Judgement(const v1::Event& sender)> judge;
  // Binaries that anybody but root could replace, and why.
  std::map<std::string, std::string> untrusted;
  // Of what is recorded.
  v1::Completeness completeness;
  // Recorded, and sent to whoever tails.
  std::vector<v1::Event> events;
  // After them: false lets the stream end, true keeps it until the caller leaves.
  bool keeps_tailing = true;
  // Called once the events are sent.
  std::function<void()> on_sent;
  // Where not empty, every call is refused with it as INVALID_ARGUMENT.
  std::string refusal;

  v1::TestPolicyRequest asked;
  v1::TailRequest tailed;
  std::string mode;
  v1::PolicyText tried;
  v1::RecordedRequest recorded;

 private:
  grpc::Status Outcome() const;

  class Server;
  const std::unique_ptr<Server> server_;
};

}  // namespace postern::cli

#endif  // POSTERN_TESTS_UNIT_CLI_FAKE_AGENT_H_
