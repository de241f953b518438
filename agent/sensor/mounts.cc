// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/mounts.h"

#include <fstream>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace postern::sensor {

std::vector<std::string> MountPointsOf(absl::string_view type) {
  std::vector<std::string> points;
  std::ifstream mounts("/proc/self/mountinfo");
  std::string line;
  while (std::getline(mounts, line)) {
    // proc(5): id parent major:minor root mount-point options … - type source options
    const std::vector<std::string> halves = absl::StrSplit(line, " - ");
    if (halves.size() != 2) continue;
    const std::vector<std::string> left = absl::StrSplit(halves[0], ' ');
    const std::vector<std::string> right = absl::StrSplit(halves[1], ' ');
    if (left.size() < 5 || right[0] != type || left[3] != "/") continue;
    points.push_back(absl::StrReplaceAll(
        left[4], {{"\\040", " "}, {"\\011", "\t"}, {"\\012", "\n"}, {"\\134", "\\"}}));
  }
  return points;
}

}  // namespace postern::sensor
