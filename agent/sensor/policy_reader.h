// SPDX-License-Identifier: Apache-2.0
// Reads back the policy that the kernel judges by. On the thread that publishes.
#ifndef POSTERN_AGENT_SENSOR_POLICY_READER_H_
#define POSTERN_AGENT_SENSOR_POLICY_READER_H_

#include "absl/status/statusor.h"
#include "agent/policy/compiled_policy.h"
#include "agent/sensor/policy_publisher.h"
#include "agent/sensor/sensor.h"

namespace postern::sensor {

// FailedPrecondition where there is none.
absl::StatusOr<HeldPolicy> ReadHeldPolicy(const PolicyMaps& maps,
                                          const policy::CompiledPolicy& compiled);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_POLICY_READER_H_
