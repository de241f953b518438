// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_TESTS_BENCH_STORE_FEEDER_H_
#define POSTERN_TESTS_BENCH_STORE_FEEDER_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "server/store/event_store.h"
#include "tests/bench/store/attempts.h"
#include "tests/bench/store/stopwatch.h"

namespace postern::bench {

// Batches under way, as of as many agents.
inline constexpr int kUnderWay = 64;
// Made before the clock runs: some 100 MB.
inline constexpr int64_t kMadeAhead = 50'000;

// Keeps kUnderWay batches before a store.
class Feeder {
 public:
  // Both outlive it.
  Feeder(server::EventStore& store, Attempts& attempts) : store_(store), attempts_(attempts) {}

  // What it took until the last of `events` more was acknowledged. `clock` is moved on to
  // when they are reported.
  absl::StatusOr<Cost> Feed(int64_t events, std::atomic<int64_t>& clock);

 private:
  absl::Status Send(server::EventBatch batch);
  absl::Status Await(int most);

  server::EventStore& store_;
  Attempts& attempts_;
  Mutex mutex_;
  int under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_STORE_FEEDER_H_
