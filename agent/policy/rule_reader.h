// SPDX-License-Identifier: Apache-2.0
// One entry of `rules:` to a Rule.
#ifndef POSTERN_AGENT_POLICY_RULE_READER_H_
#define POSTERN_AGENT_POLICY_RULE_READER_H_

#include "agent/policy/config.h"
#include "common/yaml.h"

namespace postern::policy {

// Faults go to `reader`; the rule then holds what could be read.
Rule ReadRule(YamlReader& reader, const YAML::Node& node);

// Faults unless `key` is absent or has something in its list.
void RefuseEmptyList(YamlReader& reader, const YAML::Node& map, absl::string_view key);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_RULE_READER_H_
