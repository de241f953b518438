// SPDX-License-Identifier: Apache-2.0
// What is attached to a hook of the cgroup root, ours and others'. The kernel
// itself is asked: a link can be detached while its pin stays.
#ifndef POSTERN_AGENT_SENSOR_CGROUP_HOOK_H_
#define POSTERN_AGENT_SENSOR_CGROUP_HOOK_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/sensor/sensor.h"

struct bpf_program;

namespace postern::sensor {

struct CgroupHook {
  bool ours = false;  // is attached
  std::vector<OtherProgram> others;
};

// Ours is what the link pinned at `pin` holds, of this agent or of the one before.
// `program`, loaded, is of the hook's type and has the name that all of ours have.
absl::StatusOr<CgroupHook> LookAtHook(int cgroup_fd, const bpf_program* program,
                                      const std::string& pin);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_CGROUP_HOOK_H_
