// SPDX-License-Identifier: Apache-2.0
// A wall clock that a test sets. A program that links this sees CLOCK_REALTIME of
// clock_gettime(2) moved; no other clock, and no deadline that the kernel keeps.
#ifndef POSTERN_TESTS_SUPPORT_WALL_CLOCK_H_
#define POSTERN_TESTS_SUPPORT_WALL_CLOCK_H_

#include "absl/time/time.h"

namespace postern::support {

// From now on it is `shift` ahead of the true time. Returns once absl::Now(), which
// follows within some seconds, says so.
void MoveWallClock(absl::Duration shift);

}  // namespace postern::support

#endif  // POSTERN_TESTS_SUPPORT_WALL_CLOCK_H_
