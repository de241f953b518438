// SPDX-License-Identifier: Apache-2.0
// Settings that a running agent cannot change.
#ifndef POSTERN_AGENT_RESTART_NEEDED_H_
#define POSTERN_AGENT_RESTART_NEEDED_H_

#include <string>

#include "agent/policy/config.h"

namespace postern::agent {

// One line that names the settings in which `now` differs from what the agent
// started with and runs with until its next start; "" where there are none.
std::string RestartNeeded(const policy::Config& started_with, const policy::Config& now);

}  // namespace postern::agent

#endif  // POSTERN_AGENT_RESTART_NEEDED_H_
