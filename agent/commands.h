// SPDX-License-Identifier: Apache-2.0
// Answers what `postern` asks and tells the agent: on gRPC's threads, by handing
// each call over to the thread that owns the agent.
#ifndef POSTERN_AGENT_COMMANDS_H_
#define POSTERN_AGENT_COMMANDS_H_

#include <cstdint>
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
  // Has the switch written to the spool; returns the number of that event.
  std::function<uint64_t()> mode_switched;
  // Events of the agent's own that the spool has, by the same numbers.
  std::function<uint64_t()> recorded;
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
  struct Switched {
    v1::SetModeResponse response;
    uint64_t event = 0;
  };

  absl::StatusOr<Switched> Switch(policy::Mode mode);
  // Waits for the spool to have that event; false where it does not come to that.
  bool AwaitRecord(uint64_t event);

  CommandQueue& queue_;
  const Subjects subjects_;
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_COMMANDS_H_
