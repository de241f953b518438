// SPDX-License-Identifier: Apache-2.0
// Writes a compiled policy into a free slot and makes it the one in force by a
// single update (bpf/abi/policy.h).
//
// Not thread-safe.
#ifndef POSTERN_AGENT_SENSOR_POLICY_PUBLISHER_H_
#define POSTERN_AGENT_SENSOR_POLICY_PUBLISHER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "agent/policy/compiled_policy.h"
#include "agent/sensor/bpf_map.h"

namespace postern::sensor {

class PolicyPublisher {
 public:
  struct Maps {
    BpfMap current;
    BpfMap headers;
    BpfMap index;
    BpfMap destinations;
    BpfMap units;
    BpfMap config;  // whose key hashes paths
    BpfMap watched_ports;
  };

  explicit PolicyPublisher(Maps maps) : maps_(std::move(maps)) {}

  // Returns the new generation. On error the one before stays in force.
  absl::StatusOr<uint32_t> Publish(const policy::CompiledPolicy& policy) const;
  // 0: none yet.
  absl::StatusOr<uint32_t> Generation() const;

 private:
  Maps maps_;
};

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_POLICY_PUBLISHER_H_
