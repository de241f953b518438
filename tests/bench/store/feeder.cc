// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/store/feeder.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/status.h"

namespace postern::bench {

absl::StatusOr<Cost> Feeder::Feed(int64_t events, std::atomic<int64_t>& clock) {
  Cost cost;
  std::vector<server::EventBatch> batches;
  for (int64_t sent = 0; sent < events; sent += kMadeAhead) {
    batches.clear();
    for (int64_t made = 0; made < std::min(kMadeAhead, events - sent); made += kBatchEvents) {
      batches.push_back(attempts_.Next());
    }
    clock = attempts_.reported_until();
    const Stopwatch watch;
    for (server::EventBatch& batch : batches) RETURN_IF_ERROR(Send(std::move(batch)));
    RETURN_IF_ERROR(Await(0));
    cost.Add(watch.Read());
  }
  return cost;
}

absl::Status Feeder::Send(server::EventBatch batch) {
  RETURN_IF_ERROR(Await(kUnderWay - 1));
  {
    MutexLock lock(&mutex_);
    ++under_way_;
  }
  store_.Append(std::move(batch), [this](const absl::StatusOr<uint64_t>& mark) {
    {
      MutexLock lock(&mutex_);
      --under_way_;
      if (!mark.ok()) failure_ = mark.status();
    }
    mutex_.NotifyAll();
  });
  return absl::OkStatus();
}

absl::Status Feeder::Await(int most) {
  MutexLock lock(&mutex_);
  const bool fewer =
      mutex_.AwaitFor(absl::ToChronoNanoseconds(absl::Minutes(5)),
                      [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return under_way_ <= most; });
  if (!fewer) return absl::DeadlineExceededError("the store has not answered for 5 minutes");
  return failure_;
}

}  // namespace postern::bench
