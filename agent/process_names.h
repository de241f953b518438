// SPDX-License-Identifier: Apache-2.0
// What /proc shows of a process that runs, for people to find it by. Printable;
// "" where it is gone. A process can forge it: never proof.
#ifndef POSTERN_AGENT_PROCESS_NAMES_H_
#define POSTERN_AGENT_PROCESS_NAMES_H_

#include <cstdint>
#include <string>

namespace postern::agent {

std::string CommOf(uint32_t pid);
// Path in the tree of cgroup v2.
std::string CgroupOf(uint32_t pid);

}  // namespace postern::agent

#endif  // POSTERN_AGENT_PROCESS_NAMES_H_
