// SPDX-License-Identifier: Apache-2.0
// Whether the file that a rule names by path can be replaced by anyone but root.
#ifndef POSTERN_AGENT_POLICY_BINARY_TRUST_H_
#define POSTERN_AGENT_POLICY_BINARY_TRUST_H_

#include <string>

#include "agent/policy/host.h"

namespace postern::policy {

enum class BinaryState {
  kTrusted,
  kMissing,    // no such file, or no path that could name one
  kUntrusted,  // somebody else could put another program there; or no program
  kUnseen,     // this process may not look
};

struct BinaryFinding {
  BinaryState state = BinaryState::kTrusted;
  std::string problem;   // one phrase that follows the path; empty when trusted
  std::string resolved;  // where the links led, as far as they could be followed
};

// Follows `path` as open(2) does and looks at every folder and link on the way.
// All must belong to root; none may be writable by group or others, but for a
// sticky folder, where others cannot replace what is root's. Access lists show
// in the group's bits (acl(5): they are the mask). The file is open for writing by
// nobody: who opened it before it became root's could go on.
BinaryFinding ExamineBinary(const Host& host, const std::string& path);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_BINARY_TRUST_H_
