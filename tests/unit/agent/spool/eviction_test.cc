// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "tests/unit/agent/spool/fixture.h"

namespace postern::spool {
namespace {

// What the collector would hold after reading an epoch whole.
struct Delivered {
  std::map<uint32_t, int> events;  // by uid
  uint64_t evicted = 0;
  int gaps = 0;
  int positions = 0;
};

class EvictionTest : public SpoolTest {
 protected:
  static constexpr size_t kPadding = 1000;

  Delivered Deliver(int batch_size) {
    Delivered delivered;
    while (true) {
      const v1::Batch batch =
          Read(spool_->epoch(), static_cast<uint64_t>(delivered.positions), batch_size);
      if (batch.events().empty()) return delivered;
      for (const v1::Event& event : batch.events()) {
        ++delivered.positions;
        if (event.kind() == v1::Event::CONNECT) ++delivered.events[event.uid()];
        if (event.kind() != v1::Event::GAP) continue;
        EXPECT_EQ(event.gap().reason(), v1::Gap::SPOOL_FULL);
        EXPECT_EQ(event.host(), "web1");
        EXPECT_EQ(event.boot(), kBoot);
        EXPECT_LE(event.gap().from_ns(), event.gap().to_ns());
        EXPECT_GT(event.gap().count(), 0u);
        delivered.evicted += event.gap().count();
        ++delivered.gaps;
      }
    }
  }
};

TEST_F(EvictionTest, TheHeaviestUserEvictsItselfAndNoOther) {
  Open(1 << 20);
  for (uint64_t i = 0; i < 4000; ++i) {
    std::vector<Entry> entries = {Connect(2 * i + 1, 666, v1::Event::DENIED, kPadding)};
    if (i % 100 == 0) entries.push_back(Connect(2 * i + 2, 100, v1::Event::ALLOWED, kPadding));
    Append(entries);
  }
  EXPECT_LE(spool_->GetStats()->bytes, 1u << 20);
  for (const int batch_size : {1000, 7}) {
    const Delivered delivered = Deliver(batch_size);
    EXPECT_EQ(delivered.positions, 4040);
    EXPECT_EQ(delivered.events.at(100), 40);
    EXPECT_EQ(delivered.evicted + static_cast<uint64_t>(delivered.events.at(666)), 4000u);
    EXPECT_EQ(delivered.evicted, spool_->GetStats()->evicted);
  }
}

TEST_F(EvictionTest, OfOneUserTheAllowedGoBeforeTheDenied) {
  Open(1 << 20);
  for (uint64_t i = 0; i < 300; ++i) {
    Append({Connect(2 * i + 1, 33, v1::Event::DENIED, kPadding),
            Connect(2 * i + 2, 33, v1::Event::ALLOWED, 3 * kPadding)});
  }
  int denied = 0;
  const v1::Batch batch = Read(spool_->epoch());
  for (const v1::Event& event : batch.events()) {
    denied += event.verdict() == v1::Event::DENIED ? 1 : 0;
  }
  EXPECT_EQ(denied, 300);
  EXPECT_GT(spool_->GetStats()->evicted, 0u);
}

TEST_F(EvictionTest, NeighbouringTombstonesBecomeOneGapWithTheWholeTime) {
  Open(1 << 20);
  for (uint64_t i = 1; i <= 3000; ++i) Append({Connect(i, 666, v1::Event::DENIED, kPadding)});
  const v1::Batch batch = Read(spool_->epoch());
  const auto gap = std::find_if(batch.events().begin(), batch.events().end(),
                                [](const auto& event) { return event.has_gap(); });
  ASSERT_NE(gap, batch.events().end());
  EXPECT_EQ(Deliver(1000).gaps, 1);
  EXPECT_EQ(gap->gap().from_ns(), 1'000'000'000u);
  EXPECT_EQ(gap->gap().to_ns(), gap->gap().count() * 1'000'000'000);
  EXPECT_EQ(gap - batch.events().begin() + 1, static_cast<int64_t>(gap->gap().count()));
}

TEST_F(EvictionTest, AttemptsThatARepeatStandsForAreCountedWhenItIsEvicted) {
  Open(1 << 20);
  Entry repeat = Connect(1, 666, v1::Event::DENIED, kPadding);
  repeat.event.set_repeats(99);
  repeat.event.set_last_time_ns(5'000'000'000);
  Append({repeat});
  for (uint64_t i = 2; i <= 1100; ++i) Append({Connect(i, 666, v1::Event::DENIED, kPadding)});
  const Delivered delivered = Deliver(1000);
  EXPECT_EQ(delivered.evicted + static_cast<uint64_t>(delivered.events.at(666)), 1100u + 99);
}

TEST_F(EvictionTest, WhatIsAcknowledgedGoesBeforeAnythingPending) {
  Open(1 << 20);
  for (uint64_t i = 1; i <= 900; ++i) Append({Connect(i, 33, v1::Event::ALLOWED, kPadding)});
  ASSERT_TRUE(spool_->Acknowledge(spool_->epoch(), 900).ok());
  for (uint64_t i = 901; i <= 1700; ++i) Append({Connect(i, 33, v1::Event::ALLOWED, kPadding)});
  EXPECT_EQ(spool_->GetStats()->evicted, 0u);
  EXPECT_EQ(Read(spool_->epoch(), 900).events_size(), 800);
}

TEST_F(EvictionTest, EventsOnTheirWayAreSpared) {
  Open(1 << 20);
  for (uint64_t i = 1; i <= 100; ++i) Append({Connect(i, 666, v1::Event::DENIED, kPadding)});
  EXPECT_EQ(Read(spool_->epoch(), 0, 100).events_size(), 100);
  for (uint64_t i = 101; i <= 3000; ++i) Append({Connect(i, 666, v1::Event::DENIED, kPadding)});
  const v1::Batch again = Read(spool_->epoch(), 0, 100);
  EXPECT_EQ(again.events(0).kind(), v1::Event::CONNECT);
  EXPECT_EQ(again.events(99).kind(), v1::Event::CONNECT);
  EXPECT_GT(spool_->GetStats()->evicted, 0u);
}

TEST_F(EvictionTest, AnAcknowledgementInsideATombstoneLeavesItsRest) {
  Open(1 << 20);
  for (uint64_t i = 1; i <= 3000; ++i) Append({Connect(i, 666, v1::Event::DENIED, kPadding)});
  const uint64_t epoch = spool_->epoch();
  ASSERT_TRUE(spool_->Acknowledge(epoch, 500).ok());
  const v1::Batch rest = Read(epoch, 500);
  EXPECT_EQ(rest.events_size(), 2500);
  auto renewed = spool_->Renew(epoch);
  ASSERT_TRUE(renewed.ok());
  EXPECT_EQ(Read(*renewed).events_size(), 2500);
  EXPECT_EQ(Read(*renewed).first_position(), 1u);
}

TEST_F(EvictionTest, GapsAndPolicyChangesAreNeverEvicted) {
  Open(1 << 20);
  Entry policy;
  policy.event.set_kind(v1::Event::POLICY);
  Append({policy});
  for (uint64_t i = 1; i <= 3000; ++i) Append({Connect(i, 666, v1::Event::DENIED, kPadding)});
  EXPECT_EQ(Read(spool_->epoch()).events(0).kind(), v1::Event::POLICY);
}

TEST_F(EvictionTest, SharesAreCountedAgainWhenTheSpoolIsReopened) {
  Open(4 << 20);
  for (uint64_t i = 1; i <= 1500; ++i) Append({Connect(i, 666, v1::Event::DENIED, kPadding)});
  const uint64_t first = spool_->epoch();
  Open(1 << 20);
  Append({Connect(5000, 100, v1::Event::ALLOWED, kPadding)});
  EXPECT_LE(spool_->GetStats()->bytes, 1u << 20);
  EXPECT_EQ(Read(first).events_size(), 1500);
  EXPECT_EQ(Read(spool_->epoch()).events(0).seq(), 5000u);
}

}  // namespace
}  // namespace postern::spool
