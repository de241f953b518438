// SPDX-License-Identifier: Apache-2.0
// Rules of which nothing is left: by another that comes first, or by their own `not:`.
#ifndef POSTERN_AGENT_POLICY_SHADOW_H_
#define POSTERN_AGENT_POLICY_SHADOW_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/policy/config.h"

namespace postern::policy {

// True only if every connect that `later` matches is one that `earlier` matches
// too, `ports` being all that are judged. Sound, not complete: it compares two
// rules, and does not see that several together leave nothing.
bool Shadows(const Rule& earlier, const Rule& later, const std::vector<uint16_t>& ports);

// The field (a key of agent.yaml) of which the rule excludes all that it is about,
// so that it matches nothing; empty where none is found.
absl::string_view FieldExcludedWhole(const Rule& rule, const std::vector<uint16_t>& ports);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_SHADOW_H_
