// SPDX-License-Identifier: Apache-2.0
// Exactly once, whatever comes again.
#include "server/store/event_store.h"

#include "tests/unit/server/store_fixture.h"

namespace postern::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class EventStoreTest : public StoreContractTest {};

TEST_P(EventStoreTest, BatchMovesTheMarkToItsLastPosition) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 3)), 3u);
  EXPECT_EQ(*Write("web1", 7, 4, Numbered(4, 4)), 4u);
  EXPECT_THAT(FoundNames(), ElementsAre("4", "3", "2", "1"));
}

TEST_P(EventStoreTest, BatchSentAgainIsDropped) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 3)), 3u);
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 3)), 3u);
  EXPECT_EQ(*Write("web1", 7, 2, Numbered(2, 2)), 3u);
  EXPECT_THAT(Found(), SizeIs(3));
}

TEST_P(EventStoreTest, OfAnOverlappingBatchOnlyTheTailIsTaken) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 3)), 3u);
  EXPECT_EQ(*Write("web1", 7, 2, Numbered(2, 5)), 5u);
  EXPECT_THAT(FoundNames(), ElementsAre("5", "4", "3", "2", "1"));
}

TEST_P(EventStoreTest, BatchThatLeavesAHoleIsRefusedWhole) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 2)), 2u);
  const absl::StatusOr<uint64_t> refused = Write("web1", 7, 4, Numbered(4, 5));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("send from 3"));
  EXPECT_THAT(Found(), SizeIs(2));
  EXPECT_EQ(*Write("web1", 7, 3, Numbered(3, 3)), 3u);
}

TEST_P(EventStoreTest, PositionsOfEvictedEventsCountAndAreNotStored) {
  std::vector<v1::Event> events = Numbered(1, 1);
  events.resize(4);
  events.push_back(Numbered(5, 5)[0]);
  EXPECT_EQ(*Write("web1", 7, 1, events), 5u);
  EXPECT_EQ(*Write("web1", 7, 6, std::vector<v1::Event>(2)), 7u);
  EXPECT_THAT(FoundNames(), ElementsAre("5", "1"));
}

TEST_P(EventStoreTest, EpochsCountByThemselves) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 2)), 2u);
  EXPECT_EQ(*Write("web1", ~uint64_t{0}, 1, Numbered(3, 3)), 1u);
  const std::vector<v1::EpochMark> marks = Welcome("web1", ~uint64_t{0}, {7, 99});
  ASSERT_THAT(marks, SizeIs(3));
  EXPECT_EQ(marks[0].epoch(), ~uint64_t{0});
  EXPECT_EQ(marks[0].position(), 1u);
  EXPECT_EQ(marks[1].position(), 2u);
  EXPECT_EQ(marks[2].epoch(), 99u);
  EXPECT_EQ(marks[2].position(), 0u);
}

TEST_P(EventStoreTest, MarksOutliveARestart) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 3)), 3u);
  Reopen();
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 3u);
  EXPECT_EQ(*Write("web1", 7, 3, Numbered(3, 4)), 4u);
  EXPECT_THAT(FoundNames(), ElementsAre("4", "3", "2", "1"));
}

TEST_P(EventStoreTest, HostOfAnEventIsTheStreams) {
  v1::Event event = Connect(kStart);
  event.set_host("victim");
  Write("web1", {event});
  ASSERT_THAT(Found(), SizeIs(1));
  EXPECT_EQ(Found()[0].host(), "web1");
}

TEST_P(EventStoreTest, EventComesBackAsItWent) {
  v1::Event event = Named(Connect(kStart), "perl");
  event.set_exe("/usr/bin/perl");
  event.add_args("perl");
  event.add_args("\\xff");
  event.set_seq(12);
  event.mutable_exe_file()->set_inode(42);
  event.set_host("web1");
  Write("web1", {event});
  ASSERT_THAT(Found(), SizeIs(1));
  EXPECT_EQ(Found()[0].SerializeAsString(), event.SerializeAsString());
}

TEST_P(EventStoreTest, AbsurdTimesAndCountsAreTaken) {
  v1::Event event = Repeated(kStart, kStart - kHour, ~uint64_t{0});
  v1::Event late = Connect(0);
  late.set_time_ns(~uint64_t{0});
  Write("web1", {event, late, event});
  EXPECT_THAT(Found(), SizeIs(3));
  EXPECT_TRUE(store_->Group({}, {GroupField::kHost}, 0, [] { return false; }).ok());
}

TEST_P(EventStoreTest, HostsShowWhatTheirAgentsSaidLast) {
  Welcome("web1", 7);
  now_ += kMinute;
  v1::AgentState state;
  state.set_mode("enforce");
  state.set_generation(3);
  state.set_events_lost(5);
  store_->Heard("web1", state);
  store_->Left("web1");
  Welcome("web2", 8);
  const absl::StatusOr<std::vector<v1::Host>> hosts = store_->Hosts();
  ASSERT_TRUE(hosts.ok());
  ASSERT_THAT(*hosts, SizeIs(2));
  const v1::Host& web1 = (*hosts)[0];
  EXPECT_EQ(web1.host(), "web1");
  EXPECT_EQ(web1.agent(), "agent-of-web1");
  EXPECT_EQ(web1.version(), "1.2");
  EXPECT_EQ(web1.first_seen_ns(), static_cast<uint64_t>(kStart));
  EXPECT_EQ(web1.last_seen_ns(), static_cast<uint64_t>(kStart + kMinute));
  EXPECT_EQ(web1.mode(), "enforce");
  EXPECT_EQ(web1.generation(), 3u);
  EXPECT_EQ(web1.events_lost(), 5u);
  EXPECT_FALSE(web1.healthy());
  EXPECT_FALSE(web1.connected());
  EXPECT_TRUE((*hosts)[1].connected());
}

TEST_P(EventStoreTest, NobodyIsConnectedAfterARestart) {
  Welcome("web1", 7);
  Reopen();
  EXPECT_FALSE((*store_->Hosts())[0].connected());
}

TEST_P(EventStoreTest, WhatIsQueuedAtTheEndIsCommittedAndAnswered) {
  std::atomic<int> answered{0};
  for (uint64_t position = 1; position <= 50; ++position) {
    EventBatch batch;
    batch.host = "web1";
    batch.epoch = 7;
    batch.first_position = position;
    *batch.events.Add() = Connect(kStart);
    store_->Append(std::move(batch), [&](absl::StatusOr<uint64_t> mark) {
      if (mark.ok()) ++answered;
    });
  }
  Reopen();
  EXPECT_EQ(answered, 50);
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 50u);
}

TEST_P(EventStoreTest, ManyWritersAndReadersAtOnce) {
  constexpr int kWriters = 4;
  constexpr uint64_t kBatches = 50;
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([this, writer] {
      for (uint64_t position = 1; position <= kBatches; ++position) {
        EXPECT_TRUE(Write("web" + std::to_string(writer), static_cast<uint64_t>(writer) + 1,
                          position, {Connect(kStart + static_cast<int64_t>(position))})
                        .ok());
      }
    });
  }
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([this] {
      for (int i = 0; i < 20; ++i) {
        uint64_t newest = ~uint64_t{0};
        EXPECT_TRUE(store_
                        ->Find(
                            {}, 0, [] { return false; },
                            [&](const v1::Event& event) {
                              EXPECT_LE(event.time_ns(), newest);
                              newest = event.time_ns();
                              return true;
                            })
                        .ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(Found(), SizeIs(kWriters * kBatches));
}

INSTANTIATE_STORE_CONTRACT(EventStoreTest);

}  // namespace
}  // namespace postern::server
