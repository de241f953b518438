// SPDX-License-Identifier: Apache-2.0
// What the control services ask of the agent. Called from threads of gRPC, any
// number at once; each may wait for the agent's own thread.
#ifndef POSTERN_AGENT_CONTROL_INTERFACES_H_
#define POSTERN_AGENT_CONTROL_INTERFACES_H_

#include <functional>
#include <memory>
#include <string>

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

class PolicyKeeper {
 public:
  virtual ~PolicyKeeper() = default;
  // A policy that is refused is an answer, not an error.
  virtual absl::StatusOr<v1::ReloadResponse> Reload() = 0;
  virtual absl::StatusOr<v1::ShowPolicyResponse> ShowPolicy() = 0;
};

// One policy under trial, for one caller.
class PolicyTrial {
 public:
  virtual ~PolicyTrial() = default;
  virtual v1::CheckedPolicy checked() const = 0;
  // Only of one that was accepted.
  virtual v1::Judgements Judge(const v1::RecordedSenders& senders) = 0;
};

class PolicyWorkshop {
 public:
  virtual ~PolicyWorkshop() = default;
  virtual absl::StatusOr<std::unique_ptr<PolicyTrial>> TryPolicy(const v1::PolicyText& text) = 0;
  virtual v1::ExaminedBinary ExamineBinary(const std::string& path) = 0;
  // Hands over what the spool holds of that time, until `on_event` says false, and
  // returns what it says about its record.
  virtual absl::StatusOr<v1::Completeness> ReadRecorded(
      const v1::RecordedRequest& request,
      const std::function<bool(const v1::Event&)>& on_event) = 0;
};

}  // namespace postern::control

#endif  // POSTERN_AGENT_CONTROL_INTERFACES_H_
