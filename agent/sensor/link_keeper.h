// SPDX-License-Identifier: Apache-2.0
// Attaches programs so that they stay attached without us, and puts new programs
// in the place of those an earlier agent left, without a moment between.
#ifndef POSTERN_AGENT_SENSOR_LINK_KEEPER_H_
#define POSTERN_AGENT_SENSOR_LINK_KEEPER_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "agent/sensor/pin_folder.h"

struct bpf_program;

namespace postern::sensor {

// tp_btf links cannot be updated: the new one is attached beside the old one,
// takes over its pin, and the old one goes. Programs must bear to run twice.
absl::Status KeepTracker(const PinFolder& pins, absl::string_view name, const bpf_program* program);

// cgroup links are updated in place.
absl::Status KeepCgroupHook(const PinFolder& pins, absl::string_view name,
                            const bpf_program* program, int cgroup_fd);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_LINK_KEEPER_H_
