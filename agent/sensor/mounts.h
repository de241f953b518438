// SPDX-License-Identifier: Apache-2.0
// What is mounted in this mount namespace.
#ifndef POSTERN_AGENT_SENSOR_MOUNTS_H_
#define POSTERN_AGENT_SENSOR_MOUNTS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace postern::sensor {

// Mount points that show the whole of a file system of type `type`, in the order in
// which they were mounted.
std::vector<std::string> MountPointsOf(absl::string_view type);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_MOUNTS_H_
