// SPDX-License-Identifier: Apache-2.0
// What the control services ask of the agent. Called from threads of gRPC, any
// number at once; each may wait for the agent's own thread.
#ifndef POSTERN_AGENT_CONTROL_INTERFACES_H_
#define POSTERN_AGENT_CONTROL_INTERFACES_H_

#include "absl/status/statusor.h"
#include "postern/v1/control.pb.h"

namespace postern::control {

class StatusSource {
 public:
  virtual ~StatusSource() = default;
  virtual absl::StatusOr<v1::StatusResponse> GetStatus() = 0;
};

class PolicyTester {
 public:
  virtual ~PolicyTester() = default;
  // InvalidArgument for a user, path or address that cannot be understood.
  virtual absl::StatusOr<v1::TestPolicyResponse> TestPolicy(
      const v1::TestPolicyRequest& request) = 0;
};

class ModeSwitch {
 public:
  virtual ~ModeSwitch() = default;
  virtual absl::StatusOr<v1::SetModeResponse> SetMode(bool enforce) = 0;
};

}  // namespace postern::control

#endif  // POSTERN_AGENT_CONTROL_INTERFACES_H_
