// SPDX-License-Identifier: Apache-2.0
// What is attached to a hook of the cgroup root, ours and others'. The kernel
// itself is asked: a link can be detached while its pin stays.
#ifndef POSTERN_AGENT_SENSOR_CGROUP_HOOK_H_
#define POSTERN_AGENT_SENSOR_CGROUP_HOOK_H_

#include <vector>

#include "absl/status/statusor.h"
#include "agent/sensor/sensor.h"

struct bpf_program;

namespace postern::sensor {

struct CgroupHook {
  bool ours = false;  // is attached
  std::vector<OtherProgram> others;
};

// `ours`: loaded, and the program that is meant to be there.
absl::StatusOr<CgroupHook> LookAtHook(int cgroup_fd, const bpf_program* ours);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_CGROUP_HOOK_H_
