// SPDX-License-Identifier: Apache-2.0
// Units of a rule as text: a cgroup's path from the root of cgroup v2, a "*" at its
// end for all that begin so.
#ifndef POSTERN_AGENT_POLICY_UNIT_PATH_H_
#define POSTERN_AGENT_POLICY_UNIT_PATH_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/policy/config.h"
#include "bpf/abi/policy.h"

namespace postern::policy {

// InvalidArgument says what is wrong, to stand behind the text.
absl::StatusOr<UnitPath> ParseUnitPath(absl::string_view text);

// Every cgroup of `inner` is one of `outer`.
bool Covers(const UnitPath& outer, const UnitPath& inner);
bool Contains(const UnitPath& unit, absl::string_view cgroup);

// As written.
std::string ToString(const UnitPath& unit);

// For the kernel's trie.
postern_unit_key ToKey(const UnitPath& unit);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_UNIT_PATH_H_
