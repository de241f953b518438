// SPDX-License-Identifier: Apache-2.0
// Answers what `postern` asks and tells the agent: on gRPC's threads, by handing
// each call over to the thread that owns the agent.
#ifndef POSTERN_AGENT_COMMANDS_H_
#define POSTERN_AGENT_COMMANDS_H_

#include <functional>
#include <utility>

#include "absl/status/statusor.h"
#include "agent/command_queue.h"
#include "agent/control/interfaces.h"
#include "agent/policy/local_addresses.h"
#include "agent/policy_in_force.h"
#include "postern/v1/control.pb.h"

namespace postern::agent {

// What a command works on; touched on the owner's thread alone.
struct Subjects {
  PolicyInForce& policy;
  const policy::LocalAddresses& local_addresses;
  std::function<v1::StatusResponse()> report_status;
  std::function<void()> mode_switched;
  std::function<v1::ReloadResponse()> reload;
};

class Commands final : public control::StatusSource,
                       public control::PolicyTester,
                       public control::ModeSwitch,
                       public control::PolicyKeeper {
 public:
  // The queue, and what the subjects refer to, outlive every call; calls that come
  // after queue->Close() are refused there.
  Commands(CommandQueue* queue, Subjects subjects)
      : queue_(*queue), subjects_(std::move(subjects)) {}

  absl::StatusOr<v1::StatusResponse> GetStatus() override;
  absl::StatusOr<v1::TestPolicyResponse> TestPolicy(const v1::TestPolicyRequest& request) override;
  absl::StatusOr<v1::SetModeResponse> SetMode(bool enforce) override;
  absl::StatusOr<v1::ReloadResponse> Reload() override;
  absl::StatusOr<v1::ShowPolicyResponse> ShowPolicy() override;

 private:
  absl::StatusOr<v1::SetModeResponse> Switch(policy::Mode mode);

  CommandQueue& queue_;
  const Subjects subjects_;
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_COMMANDS_H_
