// SPDX-License-Identifier: Apache-2.0
// The hooks beside connect, on sockets that can send what no connect() shows. Each
// is optional: judging goes on without it, where the kernel does not take it.
#ifndef POSTERN_AGENT_SENSOR_SOCKET_HOOKS_H_
#define POSTERN_AGENT_SENSOR_SOCKET_HOOKS_H_

#include <vector>

#include "absl/status/status.h"
#include "agent/sensor/pin_folder.h"
#include "agent/sensor/program_set.h"
#include "agent/sensor/sensor.h"

namespace postern::sensor {

// Attaches and pins all that could be loaded.
absl::Status KeepSocketHooks(const PinFolder& pins, const ProgramSet& programs, int cgroup_fd);

std::vector<HookState> SocketHookStates(const PinFolder& pins, const ProgramSet& programs,
                                        int cgroup_fd);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_SOCKET_HOOKS_H_
