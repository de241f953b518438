// SPDX-License-Identifier: Apache-2.0
// An agent that answers what a test tells it to, over gRPC on a real socket.
#ifndef POSTERN_TESTS_UNIT_CLI_FAKE_AGENT_H_
#define POSTERN_TESTS_UNIT_CLI_FAKE_AGENT_H_

#include <functional>
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
  // Sent to whoever tails.
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

 private:
  class Server;
  const std::unique_ptr<Server> server_;
};

}  // namespace postern::cli

#endif  // POSTERN_TESTS_UNIT_CLI_FAKE_AGENT_H_
