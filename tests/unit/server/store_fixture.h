// SPDX-License-Identifier: Apache-2.0
// A store of the test's own, spoken to in whole sentences.
#ifndef POSTERN_TESTS_UNIT_SERVER_STORE_FIXTURE_H_
#define POSTERN_TESTS_UNIT_SERVER_STORE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "server/store/event_store.h"
#include "tests/support/eventually.h"
#include "tests/unit/server/store_under_test.h"

namespace postern::server {

using support::Eventually;

inline constexpr int64_t kSecond = 1'000'000'000;
inline constexpr int64_t kMinute = 60 * kSecond;
inline constexpr int64_t kHour = 60 * kMinute;
// The clock at the beginning of each test: 2026-01-01.
inline constexpr int64_t kStart = 1'767'225'600 * kSecond;

inline v1::Event Connect(int64_t time) {
  v1::Event event;
  event.set_kind(v1::Event::CONNECT);
  event.set_time_ns(static_cast<uint64_t>(time));
  event.set_verdict(v1::Event::ALLOWED);
  return event;
}

// Stands for `repeats` more attempts up to `last`.
inline v1::Event Repeated(int64_t time, int64_t last, uint64_t repeats) {
  v1::Event event = Connect(time);
  event.set_last_time_ns(static_cast<uint64_t>(last));
  event.set_repeats(repeats);
  return event;
}

inline v1::Event GapOf(uint64_t count, int64_t from, int64_t to) {
  v1::Event event;
  event.set_kind(v1::Event::GAP);
  event.set_time_ns(static_cast<uint64_t>(to));
  event.mutable_gap()->set_reason(v1::Gap::RING_OTHER_FULL);
  event.mutable_gap()->set_count(count);
  event.mutable_gap()->set_from_ns(static_cast<uint64_t>(from));
  event.mutable_gap()->set_to_ns(static_cast<uint64_t>(to));
  return event;
}

// A store that speaks to the fixture's clock, of whichever kind.
class StoreTest : public testing::Test {
 protected:
  explicit StoreTest(std::unique_ptr<StoreUnderTest> kind) : kind_(std::move(kind)) {}

  void SetUp() override { Open(); }

  void Open(absl::Duration retention = absl::InfiniteDuration()) {
    absl::StatusOr<std::unique_ptr<EventStore>> store =
        kind_->Open([this] { return now_.load(); }, retention);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Close() { store_.reset(); }
  void Reopen() {
    Close();
    Open();
  }

  // Answers with the mark after the commit.
  absl::StatusOr<uint64_t> Write(const std::string& host, uint64_t epoch, uint64_t first_position,
                                 const std::vector<v1::Event>& events, int64_t oldest_pending = 0) {
    EventBatch batch;
    batch.oldest_pending_ns = static_cast<uint64_t>(oldest_pending);
    batch.host = host;
    batch.epoch = epoch;
    batch.first_position = first_position;
    for (const v1::Event& event : events) *batch.events.Add() = event;
    std::promise<absl::StatusOr<uint64_t>> answer;
    store_->Append(std::move(batch),
                   [&](absl::StatusOr<uint64_t> mark) { answer.set_value(std::move(mark)); });
    return answer.get_future().get();
  }

  // Events of one host, at the end of its epoch 1.
  void Write(const std::string& host, const std::vector<v1::Event>& events,
             int64_t oldest_pending = 0) {
    const uint64_t epoch = std::hash<std::string>()(host) | 1;
    const absl::StatusOr<uint64_t> mark =
        Write(host, epoch, positions_[host] + 1, events, oldest_pending);
    ASSERT_TRUE(mark.ok()) << mark.status();
    positions_[host] = *mark;
  }

  // What was asked of the store without an answer is done.
  void Settle() {
    v1::AgentState stopped;
    stopped.set_stopping(true);
    Write("zz", {});
    store_->Heard("zz", stopped);
    Write("zz", {});
  }

  std::vector<v1::EpochMark> Welcome(const std::string& host, uint64_t epoch,
                                     const std::vector<uint64_t>& pending = {}) {
    v1::Hello hello;
    hello.set_host(host);
    hello.set_agent("agent-of-" + host);
    hello.set_version("1.2");
    hello.set_epoch(epoch);
    for (const uint64_t other : pending) hello.add_pending_epochs(other);
    hello.mutable_state()->set_mode("monitor");
    hello.mutable_state()->set_healthy(true);
    return Welcome(hello);
  }
  std::vector<v1::EpochMark> Welcome(const v1::Hello& hello) {
    std::promise<absl::StatusOr<std::vector<v1::EpochMark>>> answer;
    store_->Welcome(hello, [&](absl::StatusOr<std::vector<v1::EpochMark>> marks) {
      answer.set_value(std::move(marks));
    });
    absl::StatusOr<std::vector<v1::EpochMark>> marks = answer.get_future().get();
    EXPECT_TRUE(marks.ok()) << marks.status();
    return marks.ok() ? *marks : std::vector<v1::EpochMark>();
  }

  // Of what is found, newest first.
  std::vector<v1::Event> Found(const EventFilter& filter = {}, uint32_t limit = 0) {
    std::vector<v1::Event> events;
    const absl::StatusOr<bool> truncated = store_->Find(
        filter, limit, [] { return false; },
        [&](const v1::Event& event) {
          events.push_back(event);
          return true;
        });
    EXPECT_TRUE(truncated.ok()) << truncated.status();
    truncated_ = truncated.ok() && *truncated;
    return events;
  }
  // Their `comm`, which tests use as the name of an event.
  std::vector<std::string> FoundNames(const EventFilter& filter = {}, uint32_t limit = 0) {
    std::vector<std::string> names;
    for (const v1::Event& event : Found(filter, limit)) names.push_back(event.comm());
    return names;
  }

  v1::Completeness Complete(const EventFilter& filter = {}) {
    absl::StatusOr<v1::Completeness> answer = store_->Complete(filter);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *answer : v1::Completeness();
  }

  std::atomic<int64_t> now_{kStart};
  std::unique_ptr<StoreUnderTest> kind_;
  std::unique_ptr<EventStore> store_;
  std::map<std::string, uint64_t> positions_;
  bool truncated_ = false;
};

inline v1::Event Named(v1::Event event, const std::string& comm) {
  event.set_comm(comm);
  return event;
}

// Named by their numbers, a second apart.
inline std::vector<v1::Event> Numbered(int from, int to) {
  std::vector<v1::Event> events;
  for (int i = from; i <= to; ++i) {
    events.push_back(Named(Connect(kStart + i * kSecond), std::to_string(i)));
  }
  return events;
}

// What every store has to keep to: TEST_P, once with each.
class StoreContractTest : public StoreTest, public testing::WithParamInterface<StoreKind> {
 protected:
  StoreContractTest() : StoreTest(GetParam().make()) {}
};

#define INSTANTIATE_STORE_CONTRACT(Suite)                                       \
  INSTANTIATE_TEST_SUITE_P(Stores, Suite, testing::ValuesIn(StoresUnderTest()), \
                           [](const auto& kind) { return std::string(kind.param.name); })

}  // namespace postern::server

#endif  // POSTERN_TESTS_UNIT_SERVER_STORE_FIXTURE_H_
