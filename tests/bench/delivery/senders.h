// SPDX-License-Identifier: Apache-2.0
// Agents without a host: each with a stream of its own, they send batches made before
// the clock runs, and time how long each takes to be acknowledged.
#ifndef POSTERN_TESTS_BENCH_DELIVERY_SENDERS_H_
#define POSTERN_TESTS_BENCH_DELIVERY_SENDERS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/samples.h"
#include "tests/bench/store/attempts.h"

namespace postern::bench {

struct Delivered {
  double seconds = 0;
  Samples acknowledged_ns;  // of each batch, from its sending
};

class Senders {
 public:
  // Connected and welcome when it returns.
  static absl::StatusOr<std::unique_ptr<Senders>> Connect(const std::string& address, int agents);
  virtual ~Senders() = default;

  // Sends `events` of `attempts`, in batches of `batch_events`, the agents by turns, as
  // fast as it goes with `under_way` batches of each agent before the peer; until the
  // last is acknowledged.
  virtual absl::StatusOr<Delivered> Send(Attempts& attempts, int64_t events, int batch_events,
                                         int under_way) = 0;
};

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_DELIVERY_SENDERS_H_
