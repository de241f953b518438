// SPDX-License-Identifier: Apache-2.0
#include "tests/support/wall_clock.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <ctime>

#include "absl/time/clock.h"

namespace {

std::atomic<int64_t> g_seconds_ahead = 0;

}  // namespace

// In place of libc's, also for the shared libraries of this program.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const long done = syscall(SYS_clock_gettime, clock, time);
  if (done == 0 && clock == CLOCK_REALTIME) time->tv_sec += g_seconds_ahead;
  return static_cast<int>(done);
}

namespace postern::support {

void MoveWallClock(absl::Duration shift) {
  g_seconds_ahead = absl::ToInt64Seconds(shift);
  timespec truth = {};
  do {
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &truth);
  } while (absl::AbsDuration(absl::Now() - absl::TimeFromTimespec(truth) - shift) >
           absl::Seconds(1));
}

}  // namespace postern::support
