// SPDX-License-Identifier: Apache-2.0
// A policy in the form the kernel judges by: the structures of
// bpf/abi/policy.h, ready to be written to its maps. Plain data.
#ifndef POSTERN_AGENT_POLICY_COMPILED_POLICY_H_
#define POSTERN_AGENT_POLICY_COMPILED_POLICY_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bpf/abi/policy.h"

namespace postern::policy {

// Where a binary stands, as the kernel sees it (see struct postern_path_id).
struct BinaryId {
  uint32_t device = 0;
  postern_path_id path = {};
};

struct CompiledPolicy {
  // `generation` is set by whoever publishes it.
  postern_policy_header header = {};
  std::vector<std::pair<postern_policy_key, postern_rule_set>> index;
  std::vector<std::pair<postern_prefix, postern_destination_rules>> destinations;
  std::vector<std::pair<postern_unit_key, postern_rule_set>> units;
  // By path: whoever publishes knows the key of the hashes that the kernel compares.
  std::vector<std::pair<std::string, postern_rule_set>> scripts;
  // Ports judged at all; a connect to any other is not looked at.
  std::vector<uint16_t> ports;
  // By rule index.
  std::vector<std::string> rule_names;
};

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_COMPILED_POLICY_H_
