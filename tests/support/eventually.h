// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_TESTS_SUPPORT_EVENTUALLY_H_
#define POSTERN_TESTS_SUPPORT_EVENTUALLY_H_

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/steady_clock.h"

namespace postern::support {

// How long anything may take that is expected to happen. Generous: a test that
// works does not wait, one that fails is looked at, and a machine that others share
// may stand still for half a minute.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

// Asks again and again until `condition` holds; false when it did not in time.
template <typename Condition>
bool Eventually(const Condition& condition, absl::Duration patience = kPatience) {
  constexpr absl::Duration kPollInterval = absl::Milliseconds(5);
  const absl::Time deadline = SteadyNow() + patience;
  while (!condition()) {
    if (SteadyNow() > deadline) return false;
    absl::SleepFor(kPollInterval);
  }
  return true;
}

}  // namespace postern::support

#endif  // POSTERN_TESTS_SUPPORT_EVENTUALLY_H_
