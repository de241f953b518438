// SPDX-License-Identifier: Apache-2.0
#include "agent/control/event_feed.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace postern::control {
namespace {

v1::Event Numbered(uint64_t seq) {
  v1::Event event;
  event.set_kind(v1::Event::CONNECT);
  event.set_seq(seq);
  event.set_time_ns(seq);
  return event;
}

TEST(EventFeedTest, AReaderSeesWhatIsPublishedFromNowOn) {
  EventFeed feed;
  feed.Publish(Numbered(1));
  const auto reader = feed.Subscribe();
  const auto other = feed.Subscribe();
  feed.Publish(Numbered(2));
  EXPECT_EQ(reader->Next(absl::Seconds(10))->seq(), 2u);
  EXPECT_EQ(other->Next(absl::Seconds(10))->seq(), 2u);
  EXPECT_EQ(reader->Next(absl::ZeroDuration()), std::nullopt);
}

TEST(EventFeedTest, ASlowReaderIsToldWhatItMissedInItsPlace) {
  EventFeed feed;
  const auto reader = feed.Subscribe();
  for (uint64_t i = 1; i <= EventFeed::kBacklog; ++i) feed.Publish(Numbered(i));
  v1::Event repeat = Numbered(EventFeed::kBacklog + 1);
  repeat.set_repeats(9);
  feed.Publish(repeat);
  feed.Publish(Numbered(EventFeed::kBacklog + 2));
  for (uint64_t i = 1; i <= EventFeed::kBacklog; ++i) {
    ASSERT_EQ(reader->Next(absl::ZeroDuration())->seq(), i);
  }
  const auto gap = reader->Next(absl::ZeroDuration());
  ASSERT_TRUE(gap.has_value());
  EXPECT_EQ(gap->gap().reason(), v1::Gap::READER_SLOW);
  EXPECT_EQ(gap->gap().count(), 11u);
  EXPECT_EQ(gap->gap().from_ns(), EventFeed::kBacklog + 1);
  EXPECT_EQ(gap->gap().to_ns(), EventFeed::kBacklog + 2);
  feed.Publish(Numbered(7777));
  EXPECT_EQ(reader->Next(absl::ZeroDuration())->seq(), 7777u);
}

TEST(EventFeedTest, ReadersComeAndGoWhileEventsArePublished) {
  EventFeed feed;
  std::atomic<bool> done = false;
  std::atomic<int> disorder = 0;
  std::thread publisher([&] {
    for (uint64_t seq = 1; !done; ++seq) feed.Publish(Numbered(seq));
  });
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        const auto reader = feed.Subscribe();
        uint64_t last = 0;
        for (int n = 0; n < 50; ++n) {
          const auto event = reader->Next(absl::Seconds(10));
          if (!event.has_value() || event->time_ns() <= last) ++disorder;
          if (event.has_value()) last = event->has_gap() ? event->gap().to_ns() : event->time_ns();
        }
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  done = true;
  publisher.join();
  EXPECT_EQ(disorder, 0);
}

}  // namespace
}  // namespace postern::control
