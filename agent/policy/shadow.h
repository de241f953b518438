// SPDX-License-Identifier: Apache-2.0
// Whether one rule leaves anything to another that comes after it.
#ifndef POSTERN_AGENT_POLICY_SHADOW_H_
#define POSTERN_AGENT_POLICY_SHADOW_H_

#include <cstdint>
#include <vector>

#include "agent/policy/config.h"

namespace postern::policy {

// True only if every connect that `later` matches is one that `earlier` matches
// too, `ports` being all that are judged. Sound, not complete: it compares two
// rules, and does not see that several together leave nothing.
bool Shadows(const Rule& earlier, const Rule& later, const std::vector<uint16_t>& ports);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_SHADOW_H_
