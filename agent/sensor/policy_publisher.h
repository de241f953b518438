// SPDX-License-Identifier: Apache-2.0
// Writes a compiled policy into a free slot and makes it the one in force by a
// single update (bpf/abi/policy.h).
//
// Not thread-safe.
#ifndef POSTERN_AGENT_SENSOR_POLICY_PUBLISHER_H_
#define POSTERN_AGENT_SENSOR_POLICY_PUBLISHER_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/policy/compiled_policy.h"
#include "agent/sensor/bpf_map.h"
#include "bpf/abi/state.h"

namespace postern::sensor {

struct PolicyMaps {
  BpfMap current;
  BpfMap headers;
  BpfMap index;
  BpfMap destinations;
  BpfMap units;
  BpfMap hits;
  BpfMap config;  // whose key hashes paths
  BpfMap watched_ports;
};

// What `policy_index` holds of a policy: also the ports that no rule names, and the
// hashes of scripts.
std::vector<std::pair<postern_policy_key, postern_rule_set>> IndexEntries(
    const policy::CompiledPolicy& policy, const postern_config& keys);
std::unique_ptr<postern_watched_ports> PortBits(const std::vector<uint16_t>& ports);

class PolicyPublisher {
 public:
  explicit PolicyPublisher(PolicyMaps maps) : maps_(std::move(maps)) {}

  // Returns the new generation. On error the one before stays in force.
  absl::StatusOr<uint32_t> Publish(const policy::CompiledPolicy& policy) const;
  // 0: none yet.
  absl::StatusOr<uint32_t> Generation() const;

 private:
  PolicyMaps maps_;
};

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_POLICY_PUBLISHER_H_
