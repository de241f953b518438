// SPDX-License-Identifier: Apache-2.0
// The root of cgroup v2: a program there sees every process of the host.
#ifndef POSTERN_AGENT_SENSOR_CGROUP_ROOT_H_
#define POSTERN_AGENT_SENSOR_CGROUP_ROOT_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/unique_fd.h"

namespace postern::sensor {

// Mount point of a cgroup v2 that shows the whole tree, unified or beside
// version 1 (hybrid). NotFound says what to mount.
absl::StatusOr<std::string> FindCgroupRoot();

// Opens `path` ("auto": FindCgroupRoot), and refuses what is not the root of
// cgroup v2: elsewhere, programs would see a part of the host only.
absl::StatusOr<UniqueFd> OpenCgroupRoot(const std::string& path);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_CGROUP_ROOT_H_
