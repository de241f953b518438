// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_COMMON_STEADY_CLOCK_H_
#define POSTERN_COMMON_STEADY_CLOCK_H_

#include <chrono>

#include "absl/time/time.h"

namespace postern {

// On a clock that nobody can set: for waiting and for how long something takes. It
// says nothing of the time of day; only differences mean anything.
inline absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace postern

#endif  // POSTERN_COMMON_STEADY_CLOCK_H_
