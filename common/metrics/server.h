// SPDX-License-Identifier: Apache-2.0
// Answers GET /metrics over HTTP on loopback, in Prometheus' text format.
//
// Whoever asks costs a bounded share, however often, slowly or wrongly he does: two
// threads answer, below the daemon's own in priority, a handful of connections wait,
// who does not send his question or take the answer within two seconds is cut off, and
// the values are collected anew at most every few seconds. What such a one can do is
// keep others from being answered, which they notice.
#ifndef POSTERN_COMMON_METRICS_SERVER_H_
#define POSTERN_COMMON_METRICS_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/metrics/family.h"

namespace postern::metrics {

class Server {
 public:
  // Called by one thread at a time. An error is answered with 503: no value is better
  // than an old one that looks new.
  using Collect = std::function<absl::StatusOr<std::vector<Family>>()>;

  // Who asks again within this time gets the same answer.
  static constexpr absl::Duration kFresh = absl::Seconds(5);

  // Answers when it returns. An error names the address and is one line.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const std::string& address, Collect collect,
                                                       absl::Duration fresh = kFresh);
  // At once, or, where somebody dawdles, within two seconds; waits for a collection under
  // way.
  virtual ~Server() = default;
};

}  // namespace postern::metrics

#endif  // POSTERN_COMMON_METRICS_SERVER_H_
