// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next attempt: twice as long each time, and never
// the same for two agents, so that a collector that comes back is not overrun.
#ifndef POSTERN_AGENT_UPLINK_BACKOFF_H_
#define POSTERN_AGENT_UPLINK_BACKOFF_H_

#include <algorithm>
#include <random>

#include "absl/time/time.h"

namespace postern::uplink {

class Backoff {
 public:
  Backoff(absl::Duration first, absl::Duration longest)
      : first_(first), longest_(longest), next_(first), random_(std::random_device()()) {}

  // Between half of the current step and all of it.
  absl::Duration Next() {
    const absl::Duration step = next_;
    next_ = std::min(next_ * 2, longest_);
    return step * std::uniform_real_distribution<double>(0.5, 1.0)(random_);
  }
  void Reset() { next_ = first_; }

 private:
  const absl::Duration first_;
  const absl::Duration longest_;
  absl::Duration next_;
  std::minstd_rand random_;
};

}  // namespace postern::uplink

#endif  // POSTERN_AGENT_UPLINK_BACKOFF_H_
