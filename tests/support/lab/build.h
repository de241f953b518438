// SPDX-License-Identifier: Apache-2.0
// Which kernel programs a build of posternd brings, and which judge now.
#ifndef POSTERN_TESTS_SUPPORT_LAB_BUILD_H_
#define POSTERN_TESTS_SUPPORT_LAB_BUILD_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace postern::lab {

// Copies `posternd` to `to` as another release would be: in the kernel programs of
// cgroup/connect4 and connect6, one instruction gives way to another of the same
// meaning (r0 = 1 for w0 = 1), so that the kernel sees other programs.
absl::Status MakeOtherBuild(const std::string& posternd, const std::string& to);

// The link pinned at `path`, and the program in it; zeros where there is none.
struct PinnedLink {
  uint32_t id = 0;
  uint32_t program = 0;
  std::string tag;  // the kernel's hash of the program's instructions
};
PinnedLink ReadLink(const std::string& path);

}  // namespace postern::lab

#endif  // POSTERN_TESTS_SUPPORT_LAB_BUILD_H_
