// SPDX-License-Identifier: Apache-2.0
// What rules say together, and what they leave open.
#ifndef POSTERN_AGENT_POLICY_RULE_CHECKS_H_
#define POSTERN_AGENT_POLICY_RULE_CHECKS_H_

#include "agent/policy/config.h"
#include "agent/policy/finding.h"

namespace postern::policy {

// Wants names resolved; a name that could not be is compared by its text.
void CheckRules(const Config& config, Findings& findings);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_RULE_CHECKS_H_
