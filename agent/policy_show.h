// SPDX-License-Identifier: Apache-2.0
// `postern policy show`: what the kernel holds, in the words of the configuration.
#ifndef POSTERN_AGENT_POLICY_SHOW_H_
#define POSTERN_AGENT_POLICY_SHOW_H_

#include "agent/policy/config.h"
#include "agent/sensor/sensor.h"
#include "postern/v1/control.pb.h"

namespace postern::agent {

// `config` is what the policy in force was compiled from.
v1::ShowPolicyResponse ShowPolicy(const sensor::HeldPolicy& held, const policy::Config& config);

}  // namespace postern::agent

#endif  // POSTERN_AGENT_POLICY_SHOW_H_
