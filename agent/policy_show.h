// SPDX-License-Identifier: Apache-2.0
// `postern policy show`: what the kernel holds, in the words of the configuration.
#ifndef POSTERN_AGENT_POLICY_SHOW_H_
#define POSTERN_AGENT_POLICY_SHOW_H_

#include <string>
#include <vector>

#include "agent/policy/config.h"
#include "agent/sensor/sensor.h"
#include "postern/v1/control.pb.h"

namespace postern::agent {

// `config` is what the policy in force was compiled from.
v1::ShowPolicyResponse ShowPolicy(const sensor::HeldPolicy& held, const policy::Config& config);

// The same for the record: ports, then a line for each rule, then the default. Of long
// lists the first values, and how many more there are.
std::vector<std::string> PolicyLines(const v1::ShowPolicyResponse& policy);

}  // namespace postern::agent

#endif  // POSTERN_AGENT_POLICY_SHOW_H_
