// SPDX-License-Identifier: Apache-2.0
// Live events for whoever follows them. A slow reader loses events, never the
// agent's time, and is told how many by a GAP in the place where they were.
//
// Thread-safe.
#ifndef POSTERN_AGENT_CONTROL_EVENT_FEED_H_
#define POSTERN_AGENT_CONTROL_EVENT_FEED_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/mutex.h"
#include "postern/v1/event.pb.h"

namespace postern::control {

class EventFeed {
 public:
  // Kept for one reader; at a kilobyte an event, what a reader can hold up.
  static constexpr size_t kBacklog = 4096;

  class Subscription {
   public:
    // The next event, or nothing after `timeout`.
    std::optional<v1::Event> Next(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);

   private:
    friend class EventFeed;
    void Push(const std::shared_ptr<const v1::Event>& event) ABSL_LOCKS_EXCLUDED(mutex_);
    bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !events_.empty() || dropped_ > 0;
    }

    Mutex mutex_;
    std::deque<std::shared_ptr<const v1::Event>> events_ ABSL_GUARDED_BY(mutex_);
    uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;  // since the last one in events_
    uint64_t dropped_from_ns_ ABSL_GUARDED_BY(mutex_) = 0;
    uint64_t dropped_to_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  };

  // Of all that is published from now on, until the reader lets it go.
  std::shared_ptr<Subscription> Subscribe() ABSL_LOCKS_EXCLUDED(mutex_);

  // Never waits for a reader.
  void Publish(const v1::Event& event) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Mutex mutex_;
  std::vector<std::weak_ptr<Subscription>> subscriptions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace postern::control

#endif  // POSTERN_AGENT_CONTROL_EVENT_FEED_H_
