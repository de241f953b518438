// SPDX-License-Identifier: Apache-2.0
#include "agent/control/event_feed.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace postern::control {

std::shared_ptr<EventFeed::Subscription> EventFeed::Subscribe() {
  auto subscription = std::make_shared<Subscription>();
  MutexLock lock(&mutex_);
  subscriptions_.push_back(subscription);
  return subscription;
}

void EventFeed::Publish(const v1::Event& event) {
  MutexLock lock(&mutex_);
  if (subscriptions_.empty()) return;
  const auto shared = std::make_shared<const v1::Event>(event);
  subscriptions_.erase(std::remove_if(subscriptions_.begin(), subscriptions_.end(),
                                      [&](const std::weak_ptr<Subscription>& weak) {
                                        const auto subscription = weak.lock();
                                        if (subscription == nullptr) return true;
                                        subscription->Push(shared);
                                        return false;
                                      }),
                       subscriptions_.end());
}

void EventFeed::Subscription::Push(const std::shared_ptr<const v1::Event>& event) {
  MutexLock lock(&mutex_);
  // Once it drops it goes on until the reader has caught up: one gap, not many.
  if (dropped_ == 0 && events_.size() < kBacklog) {
    events_.push_back(event);
    mutex_.NotifyAll();
    return;
  }
  if (dropped_ == 0) dropped_from_ns_ = event->time_ns();
  dropped_ += 1 + event->repeats();
  mutex_.NotifyAll();
  dropped_to_ns_ = event->has_last_time_ns() ? event->last_time_ns() : event->time_ns();
}

std::optional<v1::Event> EventFeed::Subscription::Next(absl::Duration timeout) {
  MutexLock lock(&mutex_);
  const auto has_news = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return HasNews(); };
  if (!mutex_.AwaitFor(absl::ToChronoNanoseconds(timeout), has_news)) return std::nullopt;
  if (!events_.empty()) {
    v1::Event event = *events_.front();
    events_.pop_front();
    return event;
  }
  v1::Event gap;
  gap.set_kind(v1::Event::GAP);
  gap.set_time_ns(dropped_from_ns_);
  gap.mutable_gap()->set_reason(v1::Gap::READER_SLOW);
  gap.mutable_gap()->set_count(dropped_);
  gap.mutable_gap()->set_from_ns(dropped_from_ns_);
  gap.mutable_gap()->set_to_ns(dropped_to_ns_);
  dropped_ = 0;
  return gap;
}

}  // namespace postern::control
