// SPDX-License-Identifier: Apache-2.0
// Finds what else on this host decides about mail ports, or about Postern itself.
#ifndef POSTERN_AGENT_COEXIST_LOOK_AROUND_H_
#define POSTERN_AGENT_COEXIST_LOOK_AROUND_H_

#include <atomic>
#include <string>
#include <vector>

#include "agent/coexist/text.h"

namespace postern::coexist {

struct Subject {
  Ports ports;
  std::vector<std::string> own_paths;  // files and folders of ours
  std::string root;                    // before each path that is looked at; for tests
};

// One line for each finding: what, where, and what it means together with Postern.
// What cannot be looked at is said too; what is not there is not. Takes seconds at the
// most, less where `stop` becomes true.
std::vector<std::string> LookAround(const Subject& subject, const std::atomic<bool>& stop);

}  // namespace postern::coexist

#endif  // POSTERN_AGENT_COEXIST_LOOK_AROUND_H_
