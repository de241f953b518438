// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/spool.h"

#include <sys/stat.h>

#include "tests/unit/agent/spool/fixture.h"

namespace postern::spool {
namespace {

using testing::ElementsAre;
using testing::Optional;

TEST_F(SpoolTest, PositionsOfAnEpochCountFromOneWithoutHoles) {
  Open();
  Append({Connect(10), Connect(11)});
  Append({Connect(12)});
  const v1::Batch all = Read(spool_->epoch());
  EXPECT_EQ(all.first_position(), 1u);
  EXPECT_THAT(Sequences(all), ElementsAre(10, 11, 12));
  const v1::Batch rest = Read(spool_->epoch(), 2);
  EXPECT_EQ(rest.first_position(), 3u);
  EXPECT_THAT(Sequences(rest), ElementsAre(12));
}

TEST_F(SpoolTest, ABatchIsBoundedByEventsAndByBytes) {
  Open();
  Append({Connect(1, 0, v1::Event::DENIED, 1000), Connect(2, 0, v1::Event::DENIED, 1000),
          Connect(3, 0, v1::Event::DENIED, 1000)});
  EXPECT_THAT(Sequences(Read(spool_->epoch(), 0, 2)), ElementsAre(1, 2));
  EXPECT_THAT(Sequences(*spool_->ReadBatch(spool_->epoch(), 0, 100, 1)), ElementsAre(1));
}

TEST_F(SpoolTest, EventsAndMarksOutliveAnAgentThatWasKilled) {
  Open();
  const uint64_t first = spool_->epoch();
  Append({Connect(1)}, {{"ring/a", 4096}});
  Append({Connect(2)}, {{"ring/a", 8192}});
  Open();
  EXPECT_NE(spool_->epoch(), first);
  EXPECT_THAT(Pending(), ElementsAre(first, spool_->epoch()));
  EXPECT_THAT(Sequences(Read(first)), ElementsAre(1, 2));
  EXPECT_THAT(*spool_->FindMark("ring/a"), Optional(8192u));
  EXPECT_EQ(*spool_->FindMark("ring/b"), std::nullopt);
}

TEST_F(SpoolTest, MarksOfAnEarlierBootAreForgottenAndItsEventsAreNot) {
  Open();
  const uint64_t first = spool_->epoch();
  Append({Connect(1)}, {{"ring/a", 4096}});
  Open(1 << 20, "99999999-2222-3333-4444-555555555555");
  EXPECT_EQ(*spool_->FindMark("ring/a"), std::nullopt);
  EXPECT_THAT(Sequences(Read(first)), ElementsAre(1));
  EXPECT_EQ(*spool_->Find(1), std::nullopt) << "sequences count anew with each boot";
}

TEST_F(SpoolTest, WhatIsAcknowledgedIsNotPending) {
  Open();
  const uint64_t first = spool_->epoch();
  Append({Connect(1), Connect(2), Connect(3)});
  EXPECT_EQ(spool_->GetStats()->oldest_ns, 1'000'000'000);
  ASSERT_TRUE(spool_->Acknowledge(first, 2).ok());
  EXPECT_EQ(spool_->GetStats()->events, 1u);
  EXPECT_EQ(spool_->GetStats()->oldest_ns, 3'000'000'000);
  Open();
  EXPECT_EQ(spool_->PendingEpochs()->front().acknowledged, 2u);
  ASSERT_TRUE(spool_->Acknowledge(first, 3).ok());
  EXPECT_THAT(Pending(), ElementsAre(spool_->epoch()));
  EXPECT_EQ(spool_->GetStats()->events, 0u);
  EXPECT_EQ(spool_->GetStats()->oldest_ns, std::nullopt);
}

TEST_F(SpoolTest, AcknowledgementsThatMakeNoSenseChangeNothing) {
  Open();
  Append({Connect(1), Connect(2)});
  EXPECT_TRUE(spool_->Acknowledge(spool_->epoch() + 1, 1).ok());
  EXPECT_TRUE(spool_->Acknowledge(spool_->epoch(), 3).ok());
  EXPECT_EQ(spool_->PendingEpochs()->front().acknowledged, 0u);
  ASSERT_TRUE(spool_->Acknowledge(spool_->epoch(), 2).ok());
  EXPECT_TRUE(spool_->Acknowledge(spool_->epoch(), 1).ok());
  EXPECT_EQ(spool_->PendingEpochs()->front().acknowledged, 2u);
}

TEST_F(SpoolTest, TheLastAcknowledgementIsKnownAfterItsEpochIsGone) {
  Open();
  EXPECT_EQ(spool_->LastAcknowledged()->epoch(), 0u);
  const uint64_t first = spool_->epoch();
  Append({Connect(1), Connect(2)});
  ASSERT_TRUE(spool_->Acknowledge(first, 2).ok());
  now_ += absl::Hours(1);
  Append({});
  Open(1 << 20, "another boot");
  Open(1 << 20, "another boot");
  EXPECT_EQ(spool_->LastAcknowledged()->epoch(), first);
  EXPECT_EQ(spool_->LastAcknowledged()->position(), 2u);
}

TEST_F(SpoolTest, WhatNobodyCollectedIsNoAcknowledgement) {
  local_only_ = true;
  Open();
  Append({Connect(1)});
  EXPECT_EQ(spool_->LastAcknowledged()->epoch(), 0u);
}

TEST_F(SpoolTest, AcknowledgedEventsAreFoundForTenMinutesThenDeleted) {
  Open();
  Append({Connect(7)});
  ASSERT_TRUE(spool_->Acknowledge(spool_->epoch(), 1).ok());
  now_ += kKeepAcknowledged - absl::Seconds(1);
  Append({});
  auto found = spool_->Find(7);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->seq(), 7u);
  now_ += absl::Minutes(1);
  Append({});
  EXPECT_EQ(*spool_->Find(7), std::nullopt);
  EXPECT_EQ(spool_->GetStats()->bytes, 0u);
}

TEST_F(SpoolTest, EventsNobodyAcknowledgedStay) {
  Open();
  Append({Connect(7)});
  now_ += absl::Hours(1000);
  Append({Connect(8)});
  EXPECT_THAT(Sequences(Read(spool_->epoch())), ElementsAre(7, 8));
}

TEST_F(SpoolTest, ARepeatKeepsItsOriginFindable) {
  Open();
  Append({Connect(7)});
  now_ += absl::Minutes(9);
  Entry repeat = Connect(50);
  repeat.origin = 7;
  Append({repeat});
  ASSERT_TRUE(spool_->Acknowledge(spool_->epoch(), 2).ok());
  now_ += absl::Minutes(9);
  Append({});
  auto found = spool_->Find(7);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->seq(), 50u);
}

TEST_F(SpoolTest, WithoutACollectorNothingIsPending) {
  Open();
  const uint64_t first = spool_->epoch();
  Append({Connect(1)});
  Open();
  ASSERT_TRUE(spool_->SetLocalOnly(true).ok());
  Append({Connect(2)});
  EXPECT_EQ(spool_->GetStats()->events, 0u);
  EXPECT_THAT(Pending(), ElementsAre(spool_->epoch()));
  EXPECT_TRUE((*spool_->Find(2)).has_value());
  EXPECT_EQ(Read(first).events_size(), 1) << "kept for repeats, though not pending";
}

TEST_F(SpoolTest, WhatNobodyCollectedIsAGapOnceSomebodyDoes) {
  Open();
  Append({Connect(1)});
  ASSERT_TRUE(spool_->Acknowledge(spool_->epoch(), 1).ok());
  Append({Connect(9), Connect(7)});
  ASSERT_TRUE(spool_->SetLocalOnly(true).ok());
  Append({Connect(10)});
  // Across starts and boots; the agent that knows of a collector again says so first.
  local_only_ = true;
  Open(1 << 20, "another boot");
  Append({Connect(11)});
  local_only_ = false;
  Open();
  Append({Connect(12)});
  const v1::Batch batch = Read(spool_->epoch());
  ASSERT_EQ(batch.events_size(), 2);
  const v1::Event& gap = batch.events(0);
  EXPECT_EQ(gap.kind(), v1::Event::GAP);
  EXPECT_EQ(gap.host(), "web1");
  EXPECT_EQ(gap.gap().reason(), v1::Gap::NO_COLLECTOR);
  EXPECT_EQ(gap.gap().count(), 0u);
  EXPECT_EQ(gap.gap().from_ns(), 7'000'000'000u) << "the oldest that was not delivered";
  EXPECT_EQ(gap.gap().to_ns(), static_cast<uint64_t>(absl::ToUnixNanos(now_)));
  EXPECT_EQ(batch.events(1).seq(), 12u);
  // Once.
  ASSERT_TRUE(spool_->SetLocalOnly(false).ok());
  EXPECT_EQ(spool_->GetStats()->events, 2u);
}

TEST_F(SpoolTest, WithoutACollectorTheRecordStaysAndCanBeRead) {
  local_only_ = true;
  Open();
  Append({Connect(1), Connect(2)});
  Open(1 << 20, "another boot");
  now_ += absl::Hours(24 * 7);
  Append({Connect(3)});
  const auto read = [this] {
    std::vector<uint64_t> sequences;
    std::optional<int64_t> next = 0;
    while (next.has_value()) {
      const auto recorded = spool_->ReadRecorded(*next);
      EXPECT_TRUE(recorded.ok()) << recorded.status();
      for (const v1::Event& event : recorded->events) sequences.push_back(event.seq());
      next = recorded->next;
    }
    return sequences;
  };
  EXPECT_THAT(read(), ElementsAre(1, 2, 3));
  // More than one call has.
  std::vector<Entry> many;
  for (uint64_t seq = 4; seq <= 2000; ++seq) many.push_back(Connect(seq));
  Append(many);
  EXPECT_EQ(read().size(), 2000u);
  EXPECT_EQ(read().back(), 2000u);
  // With a collector the record is there.
  ASSERT_TRUE(spool_->SetLocalOnly(false).ok());
  now_ += kKeepAcknowledged + absl::Minutes(1);
  Append({});
  for (const uint64_t seq : read()) EXPECT_EQ(seq, 0u) << "the gap alone is left";
}

TEST_F(SpoolTest, TheRecordWithoutACollectorHasAnEnd) {
  local_only_ = true;
  Open();
  Append({Connect(1)});
  now_ += kKeepUncollected + absl::Minutes(1);
  Append({Connect(2)});
  const auto recorded = spool_->ReadRecorded(0);
  ASSERT_EQ(recorded->events.size(), 1u);
  EXPECT_EQ(recorded->events[0].seq(), 2u);
}

TEST_F(SpoolTest, ACollectorThatComesBackBeforeTheNextEventIsToldToo) {
  Open();
  Append({Connect(5)});
  ASSERT_TRUE(spool_->SetLocalOnly(true).ok());
  ASSERT_TRUE(spool_->SetLocalOnly(false).ok());
  EXPECT_EQ(spool_->GetStats()->events, 1u);
  EXPECT_EQ(*spool_->OldestAfter(spool_->epoch(), 1), 5'000'000'000);
}

TEST_F(SpoolTest, WithoutACollectorAndWithoutEventsNothingIsMissed) {
  local_only_ = true;
  Open();
  Append({});
  ASSERT_TRUE(spool_->SetLocalOnly(false).ok());
  EXPECT_EQ(spool_->GetStats()->events, 0u);
}

TEST_F(SpoolTest, TheOldestEventBehindAPositionIsNeverOlderThanSaid) {
  Open();
  const uint64_t first = spool_->epoch();
  Append({Connect(20), Connect(30)});
  Open();
  const uint64_t second = spool_->epoch();
  Append({Connect(40), Connect(10), Connect(50)});
  // Of later epochs too.
  EXPECT_EQ(*spool_->OldestAfter(first, 0), 10'000'000'000);
  EXPECT_EQ(*spool_->OldestAfter(second, 2), 10'000'000'000) << "not looked for again";
  EXPECT_EQ(*spool_->OldestAfter(second, 3), std::nullopt);
  Append({Connect(60), Connect(70)});
  EXPECT_EQ(*spool_->OldestAfter(second, 3), 60'000'000'000);
  Append({Connect(15), Connect(80)});
  EXPECT_EQ(*spool_->OldestAfter(second, 4), 15'000'000'000);
  EXPECT_EQ(*spool_->OldestAfter(second, 5), 15'000'000'000);
  EXPECT_EQ(*spool_->OldestAfter(second, 7), std::nullopt);
  // Back, as a connection that broke.
  EXPECT_EQ(*spool_->OldestAfter(second, 6), 80'000'000'000);
  EXPECT_EQ(*spool_->OldestAfter(first, 1), 10'000'000'000);
  EXPECT_EQ(spool_->OldestAfter(first + 1, 0).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SpoolTest, TheOldestEventIsKnownAfterRenewing) {
  Open();
  Append({Connect(20), Connect(30)});
  EXPECT_EQ(*spool_->OldestAfter(spool_->epoch(), 0), 20'000'000'000);
  const auto renewed = spool_->Renew(spool_->epoch());
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_EQ(*spool_->OldestAfter(*renewed, 1), 30'000'000'000);
}

TEST_F(SpoolTest, AMarkMayOutliveItsBoot) {
  Open();
  Append({}, {{"of-boot", 1}, {"for-ever", 2, /*outlives_boot=*/true}});
  Open(1 << 20, "another boot");
  EXPECT_EQ(*spool_->FindMark("of-boot"), std::nullopt);
  EXPECT_EQ(*spool_->FindMark("for-ever"), 2u);
}

TEST_F(SpoolTest, RenewingFilesWhatIsPendingUnderNewPositions) {
  Open();
  const uint64_t old = spool_->epoch();
  Append({Connect(1), Connect(2), Connect(3)});
  ASSERT_TRUE(spool_->Acknowledge(old, 1).ok());
  auto renewed = spool_->Renew(old);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_EQ(spool_->epoch(), *renewed);
  Append({Connect(4)});
  EXPECT_THAT(Sequences(Read(*renewed)), ElementsAre(2, 3, 4));
  EXPECT_THAT(Pending(), ElementsAre(*renewed));
  Open();
  EXPECT_THAT(Pending(), ElementsAre(*renewed, spool_->epoch()));
  EXPECT_THAT(Sequences(Read(*renewed)), ElementsAre(2, 3, 4));
}

TEST_F(SpoolTest, RenewingAnEarlierEpochLeavesTheCurrentOne) {
  Open();
  const uint64_t old = spool_->epoch();
  Append({Connect(1)});
  Open();
  const uint64_t current = spool_->epoch();
  Append({Connect(2)});
  auto renewed = spool_->Renew(old);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  Append({Connect(3)});
  EXPECT_THAT(Sequences(Read(current)), ElementsAre(2));
  EXPECT_THAT(Sequences(Read(*renewed)), ElementsAre(1));
  EXPECT_THAT(Sequences(Read(spool_->epoch())), ElementsAre(3));
}

TEST_F(SpoolTest, APositionAheadOfTheEpochIsOutOfRange) {
  Open();
  Append({Connect(1)});
  EXPECT_EQ(spool_->ReadBatch(spool_->epoch(), 2, 10, 10).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(spool_->ReadBatch(spool_->epoch() + 1, 0, 10, 10).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(SpoolTest, PositionsThatWereDeletedAreOutOfRange) {
  Open();
  Append({Connect(1), Connect(2)});
  ASSERT_TRUE(spool_->Acknowledge(spool_->epoch(), 1).ok());
  now_ += absl::Hours(1);
  Append({});
  EXPECT_EQ(spool_->ReadBatch(spool_->epoch(), 0, 10, 10).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_THAT(Sequences(Read(spool_->epoch(), 1)), ElementsAre(2));
}

TEST_F(SpoolTest, AnotherAgentOnTheSameSpoolIsRefused) {
  Open();
  Options options;
  options.folder = folder_.path();
  options.boot = kBoot;
  EXPECT_EQ(Spool::Open(options).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SpoolTest, TheFileIsTheOwnersAlone) {
  Open();
  Append({Connect(1)});
  for (const char* name : {"spool.db", "spool.db-wal"}) {
    struct stat file = {};
    ASSERT_EQ(stat((folder_ / name).c_str(), &file), 0) << name;
    EXPECT_EQ(file.st_mode & 0777, 0600u) << name;
  }
}

}  // namespace
}  // namespace postern::spool
