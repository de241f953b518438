// SPDX-License-Identifier: Apache-2.0
#include "common/boot_clock.h"

#include <time.h>

#include <limits>

namespace postern {
namespace {

int64_t ClockNs(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

int64_t BootNowNs() { return ClockNs(CLOCK_BOOTTIME); }

int64_t BootToWallOffsetNs() {
  // Between the two readings this thread may have waited: the quickest try counts.
  constexpr int kTries = 3;
  constexpr int64_t kQuickNs = 10'000;
  int64_t offset = 0;
  int64_t shortest = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < kTries && shortest > kQuickNs; ++i) {
    const int64_t before = ClockNs(CLOCK_BOOTTIME);
    const int64_t wall = ClockNs(CLOCK_REALTIME);
    const int64_t took = ClockNs(CLOCK_BOOTTIME) - before;
    if (took >= shortest) continue;
    shortest = took;
    offset = wall - before - took / 2;
  }
  return offset;
}

}  // namespace postern
