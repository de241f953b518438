// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>

#include "tests/unit/agent/spool/fixture.h"

namespace postern::spool {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

class DamageTest : public SpoolTest {
 protected:
  void Write(const std::string& content) {
    std::ofstream(folder_ / kFileName, std::ios::binary | std::ios::trunc) << content;
  }
  void ExpectSetAside(const std::string& content) {
    const std::vector<SetAside> aside = spool_->TakeSetAside();
    ASSERT_EQ(aside.size(), 1u);
    EXPECT_THAT(aside[0].path, StartsWith(folder_ / "spool.db.corrupt-2023"));
    if (content.empty()) return;
    std::ifstream file(aside[0].path, std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), content)
        << "the evidence stays as it was";
  }
};

TEST_F(DamageTest, GarbageIsSetAsideAndTheSpoolWorks) {
  const std::string garbage(10'000, 'g');
  Write(garbage);
  Open();
  ExpectSetAside(garbage);
  Append({Connect(1)});
  EXPECT_THAT(Sequences(Read(spool_->epoch())), ElementsAre(1));
  EXPECT_TRUE(spool_->TakeSetAside().empty());
}

TEST_F(DamageTest, AFileThatWasEmptiedIsSetAsideWithItsLog) {
  Open();
  Append({Connect(1)});
  ASSERT_TRUE(spool_->Acknowledge(spool_->epoch(), 1).ok());
  const absl::Time delivered = now_;
  now_ += absl::Minutes(1);
  Append({Connect(2)});
  spool_.reset();
  Write("");
  std::ofstream(folder_ / "spool.db-wal") << "of a killed agent";
  Open();
  const std::vector<SetAside> aside = spool_->TakeSetAside();
  ASSERT_EQ(aside.size(), 1u);
  EXPECT_THAT(aside[0].path, StartsWith(folder_ / "spool.db.corrupt-2023"));
  EXPECT_TRUE(std::filesystem::exists(aside[0].path + "-wal"));
  EXPECT_EQ(aside[0].delivered_until_ns, absl::ToUnixNanos(delivered));
  Append({Connect(3)});
  EXPECT_THAT(Sequences(Read(spool_->epoch())), ElementsAre(3));
}

TEST_F(DamageTest, AFileThatWasRemovedIsToldOfOnce) {
  Open();
  EXPECT_TRUE(spool_->TakeSetAside().empty()) << "the first start has lost nothing";
  Append({Connect(1)});
  spool_.reset();
  ASSERT_TRUE(std::filesystem::remove(folder_ / kFileName));
  Open();
  const std::vector<SetAside> aside = spool_->TakeSetAside();
  ASSERT_EQ(aside.size(), 1u);
  EXPECT_EQ(aside[0].path, "");
  EXPECT_EQ(aside[0].delivered_until_ns, 0);
  Open();
  EXPECT_TRUE(spool_->TakeSetAside().empty());
}

TEST_F(DamageTest, AnotherProgramsDatabaseIsSetAside) {
  {
    auto other = Database::Open(folder_ / kFileName);
    ASSERT_TRUE(other.ok());
    ASSERT_TRUE((*other)->Execute("CREATE TABLE events(id)").ok());
  }
  Open();
  ExpectSetAside("");
  Append({Connect(1)});
}

TEST_F(DamageTest, ASpoolOfALaterFormatIsSetAside) {
  Open();
  spool_.reset();
  {
    auto later = Database::Open(folder_ / kFileName);
    ASSERT_TRUE(later.ok());
    ASSERT_TRUE((*later)->Execute("PRAGMA user_version=2").ok());
  }
  Open();
  ExpectSetAside("");
}

TEST_F(DamageTest, OverwrittenPagesAreSetAside) {
  Open();
  for (uint64_t i = 1; i <= 200; ++i) Append({Connect(i, 33, v1::Event::DENIED, 1000)});
  spool_.reset();
  {
    std::fstream file(folder_ / kFileName, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(8192);
    file << std::string(100'000, '\x5a');
  }
  Open();
  ExpectSetAside("");
  Append({Connect(1)});
  EXPECT_THAT(Sequences(Read(spool_->epoch())), ElementsAre(1));
}

TEST_F(DamageTest, RecoveryBeginsANewSpoolAndSaysUpToWhenAllWasDelivered) {
  Open();
  const uint64_t first = spool_->epoch();
  Append({Connect(1)});
  ASSERT_TRUE(spool_->Acknowledge(first, 1).ok());
  const absl::Time delivered = now_;
  now_ += absl::Minutes(1);
  Append({Connect(2)});
  ASSERT_TRUE(spool_->Recover().ok());
  const std::vector<SetAside> aside = spool_->TakeSetAside();
  ASSERT_EQ(aside.size(), 1u);
  EXPECT_EQ(aside[0].delivered_until_ns, absl::ToUnixNanos(delivered));
  EXPECT_NE(spool_->epoch(), first);
  Append({Connect(3)});
  EXPECT_THAT(Sequences(Read(spool_->epoch())), ElementsAre(3));
}

TEST_F(DamageTest, AnEventThatCannotBeReadIsAGapOfItsPosition) {
  Open();
  Append({Connect(1), Connect(2), Connect(3)});
  const uint64_t first = spool_->epoch();
  spool_.reset();
  {
    auto database = Database::Open(folder_ / kFileName);
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE((*database)->Execute("UPDATE events SET event = x'ff' WHERE origin = 2").ok());
  }
  Open();
  const v1::Batch batch = Read(first);
  ASSERT_EQ(batch.events_size(), 3);
  EXPECT_EQ(batch.events(1).gap().reason(), v1::Gap::UNREADABLE);
  EXPECT_EQ(batch.events(1).gap().count(), 1u);
  EXPECT_EQ(batch.events(2).seq(), 3u);
}

TEST_F(DamageTest, AFullDiskRefusesTheAppendWholeAndALaterOneSucceeds) {
  max_pages_ = 40;
  Open();
  Append({Connect(1)}, {{"ring/a", 1}});
  const uint64_t epoch = spool_->epoch();
  std::vector<Entry> many;
  for (uint64_t i = 2; i < 2000; ++i) many.push_back(Connect(i, 33, v1::Event::DENIED, 500));
  const absl::Status full = spool_->Append(many, std::vector<Mark>{{"ring/a", 2}});
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted) << full;
  EXPECT_EQ(*spool_->FindMark("ring/a"), 1u);
  EXPECT_THAT(Sequences(Read(epoch)), ElementsAre(1));
  EXPECT_EQ(spool_->GetStats()->events, 1u);
  Append({Connect(2)}, {{"ring/a", 2}});
  EXPECT_EQ(*spool_->FindMark("ring/a"), 2u);
  EXPECT_THAT(Sequences(Read(epoch)), ElementsAre(1, 2));
}

TEST_F(DamageTest, RoomIsHeldForAFullDisk) {
  Open();
  EXPECT_EQ(std::filesystem::file_size(folder_ / kReserveFileName),
            static_cast<uintmax_t>(kReserveBytes));
}

TEST_F(DamageTest, AFullDiskTakesNewEventsInThePlaceOfDeliveredOnes) {
  max_pages_ = 60;
  Open();
  const uint64_t epoch = spool_->epoch();
  std::vector<Entry> many;
  for (uint64_t i = 1; i <= 200; ++i) many.push_back(Connect(i, 33, v1::Event::DENIED, 500));
  Append(many);
  ASSERT_TRUE(spool_->Acknowledge(epoch, 200).ok());
  // At once: nothing is old enough to go by itself.
  for (Entry& entry : many) {
    entry.origin += 200;
    entry.event.set_seq(entry.origin);
  }
  Append(many, {{"ring/a", 2}});
  EXPECT_EQ(spool_->GetStats()->events, 200u);
  EXPECT_EQ(*spool_->FindMark("ring/a"), 2u);
  const v1::Batch batch = Read(epoch, 200);
  ASSERT_EQ(batch.events_size(), 200);
  EXPECT_EQ(batch.events(0).seq(), 201u);
  EXPECT_FALSE(spool_->Find(1)->has_value()) << "made room";
  // What is pending never does.
  EXPECT_EQ(spool_->Append(many, {}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(spool_->GetStats()->events, 200u);
}

}  // namespace
}  // namespace postern::spool
