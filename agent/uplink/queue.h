// SPDX-License-Identifier: Apache-2.0
// gRPC's completion queue with a bell: what one thread waits on, for its stream
// and for the rest of the agent alike.
#ifndef POSTERN_AGENT_UPLINK_QUEUE_H_
#define POSTERN_AGENT_UPLINK_QUEUE_H_

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/steady_clock.h"

namespace postern::uplink {

enum class Tag : intptr_t { kNone, kBell, kStart, kRead, kWrite, kWritesDone, kFinish };

// gRPC hands tags back as pointers, and never looks behind them.
inline void* ToPointer(Tag tag) {
  return reinterpret_cast<void*>(static_cast<intptr_t>(tag));  // NOLINT(performance-no-int-to-ptr)
}

// Of SteadyNow(). A time of day would be no good: where somebody sets the clock,
// absl::Now() follows up to two seconds later than gRPC, and what was meant for now
// would be hours away.
inline gpr_timespec ToGrpc(absl::Time time) {
  if (time == absl::InfiniteFuture()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  const int64_t left_ns = absl::ToInt64Nanoseconds(time - SteadyNow());
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(left_ns, GPR_TIMESPAN));
}

class Queue {
 public:
  struct Completion {
    Tag tag = Tag::kNone;  // kNone: the deadline came first
    bool ok = false;
  };

  Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  // No stream may be left. Ring() may not be called any more.
  ~Queue() {
    {
      MutexLock lock(&mutex_);
      bell_.Cancel();
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  // Makes Next() return kBell, once for any number of rings before it. From any thread.
  void Ring() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (ringing_) return;
    ringing_ = true;
    // Long ago: rung at once, without a timer.
    bell_.Set(&queue_, gpr_inf_past(GPR_CLOCK_MONOTONIC), ToPointer(Tag::kBell));
  }

  // `deadline`: of SteadyNow().
  Completion Next(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_) {
    void* tag = nullptr;
    Completion completion;
    const auto status = queue_.AsyncNext(&tag, &completion.ok, ToGrpc(deadline));
    if (status != grpc::CompletionQueue::GOT_EVENT) return {};
    completion.tag = static_cast<Tag>(reinterpret_cast<intptr_t>(tag));
    if (completion.tag == Tag::kBell) {
      MutexLock lock(&mutex_);
      ringing_ = false;
    }
    return completion;
  }

  grpc::CompletionQueue* get() { return &queue_; }

 private:
  grpc::CompletionQueue queue_;
  Mutex mutex_;
  bool ringing_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Alarm bell_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace postern::uplink

#endif  // POSTERN_AGENT_UPLINK_QUEUE_H_
