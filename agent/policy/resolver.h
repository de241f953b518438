// SPDX-License-Identifier: Apache-2.0
// Turns what rules name into what this host has: ids for accounts, trusted
// files for binaries.
#ifndef POSTERN_AGENT_POLICY_RESOLVER_H_
#define POSTERN_AGENT_POLICY_RESOLVER_H_

#include "agent/policy/config.h"
#include "agent/policy/finding.h"
#include "agent/policy/host.h"

namespace postern::policy {

// What to do about an account or binary that this host does not have, or not in
// a state that can be relied on.
enum class Missing {
  kRefuse,    // a fault
  kLeaveOut,  // a note; a rule is left out once nothing is left of such a list.
              // The rules that remain match no more than they did before.
};

// Sets the ids of all accounts and examines all binaries. Built-in rules are
// always treated as by kLeaveOut.
void ResolveNames(const Host& host, Missing missing, Config& config, Findings& findings);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_RESOLVER_H_
