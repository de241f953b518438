// SPDX-License-Identifier: Apache-2.0
// What an administrator needs to write a policy: another one tried on what was
// recorded, a look at binaries, and the record itself. Changes nothing. Called from
// threads of gRPC; all but the settings in force is read there.
#ifndef POSTERN_AGENT_POLICY_WORKSHOP_H_
#define POSTERN_AGENT_POLICY_WORKSHOP_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/command_queue.h"
#include "agent/control/interfaces.h"
#include "agent/policy/host.h"
#include "agent/policy_in_force.h"
#include "agent/sensor/sensor.h"
#include "agent/spool/spool.h"

namespace postern::agent {

class PolicyWorkshop final : public control::PolicyWorkshop {
 public:
  // `policy` is asked on the owner's thread alone.
  struct Parts {
    CommandQueue& queue;
    const PolicyInForce& policy;
    sensor::Sensor& sensor;
    spool::Spool& spool;
    const policy::Host& host;
    std::string host_name;  // of events
  };

  // All outlive every call.
  explicit PolicyWorkshop(Parts parts) : parts_(std::move(parts)) {}

  absl::StatusOr<std::unique_ptr<control::PolicyTrial>> TryPolicy(
      const v1::PolicyText& text) override;
  v1::ExaminedBinary ExamineBinary(const std::string& path) override;
  absl::StatusOr<v1::Completeness> ReadRecorded(
      const v1::RecordedRequest& request,
      const std::function<bool(const v1::Event&)>& on_event) override;

 private:
  const Parts parts_;
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_POLICY_WORKSHOP_H_
