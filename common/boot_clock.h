// SPDX-License-Identifier: Apache-2.0
// The clock that stamps the kernel's records (CLOCK_BOOTTIME): ns since boot, suspend
// included. Nobody can set it.
#ifndef POSTERN_COMMON_BOOT_CLOCK_H_
#define POSTERN_COMMON_BOOT_CLOCK_H_

#include <cstdint>

namespace postern {

int64_t BootNowNs();

// Added to a time since boot it makes one since the epoch, as the wall clock is set now.
// To some microseconds, unless this thread has to wait each time that it is tried.
int64_t BootToWallOffsetNs();

// Two wall clocks that differ by less agree: a blacklist names minutes.
inline constexpr int64_t kClocksAgreeNs = 60'000'000'000;

}  // namespace postern

#endif  // POSTERN_COMMON_BOOT_CLOCK_H_
