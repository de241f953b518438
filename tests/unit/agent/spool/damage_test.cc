// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
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
  void Execute(const std::string& sql) {
    spool_.reset();
    auto database = Database::Open(folder_ / kFileName);
    ASSERT_TRUE(database.ok()) << database.status();
    ASSERT_TRUE((*database)->Execute(sql).ok()) << sql;
  }
  // What a collector gets of one epoch, position by position.
  std::vector<v1::Event> Deliver(uint64_t epoch, int batch_size = 100) {
    std::vector<v1::Event> events;
    while (true) {
      const auto batch = spool_->ReadBatch(epoch, events.size(), batch_size, size_t{64} << 20);
      EXPECT_TRUE(batch.ok()) << batch.status();
      if (!batch.ok() || batch->events().empty()) return events;
      events.insert(events.end(), batch->events().begin(), batch->events().end());
    }
  }
  // Against the senders' book: what arrives is in it, once, and what does not is told
  // of. Returns the gaps.
  int ExpectAccountedFor(std::multiset<std::string> book, uint64_t epoch) {
    const std::vector<v1::Event> events = Deliver(epoch);
    EXPECT_EQ(events.size(), book.size());
    int gaps = 0;
    for (const v1::Event& event : events) {
      if (event.kind() == v1::Event::CONNECT) {
        const auto found = book.find(event.SerializeAsString());
        EXPECT_NE(found, book.end()) << "nobody did " << event.ShortDebugString();
        if (found != book.end()) book.erase(found);
      } else if (event.kind() == v1::Event::GAP) {
        ++gaps;
      }
    }
    EXPECT_EQ(book.empty(), gaps == 0) << book.size() << " are missing";
    return gaps;
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
    ASSERT_TRUE((*later)->Execute("PRAGMA user_version=3").ok());
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

TEST_F(DamageTest, AnEventThatBecameAnotherIsAGapOfItsAttempts) {
  Open();
  Entry repeat = Connect(2);
  repeat.event.set_repeats(6);
  repeat.event.set_last_time_ns(9'000'000'000);
  Append({Connect(1), repeat, Connect(3)});
  const uint64_t first = spool_->epoch();
  Execute("UPDATE events SET event = (SELECT event FROM events WHERE origin = 1) WHERE origin = 2");
  Open();
  const std::vector<v1::Event> events = Deliver(first);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1].kind(), v1::Event::GAP);
  EXPECT_EQ(events[1].gap().reason(), v1::Gap::UNREADABLE);
  EXPECT_EQ(events[1].gap().count(), 7u);
  EXPECT_EQ(events[1].gap().from_ns(), 2'000'000'000u);
  EXPECT_EQ(events[1].gap().to_ns(), 9'000'000'000u);
  EXPECT_EQ(*spool_->Find(2), std::nullopt) << "nobody's repeats are named by it";
}

TEST_F(DamageTest, AnEventOfWhichNotEvenTheNumberIsKnownIsAGapSinceTheLastDelivery) {
  Open();
  Append({Connect(1)});
  const uint64_t first = spool_->epoch();
  ASSERT_TRUE(spool_->Acknowledge(first, 1).ok());
  const absl::Time delivered = now_;
  now_ += absl::Minutes(1);
  Append({Connect(2), Connect(3)});
  Execute("UPDATE events SET attempts = 1000, event = x'ff' WHERE origin = 2");
  Open();
  const v1::Batch batch = Read(first, 1);
  ASSERT_EQ(batch.events_size(), 2);
  EXPECT_EQ(batch.events(0).gap().reason(), v1::Gap::SPOOL_CORRUPT);
  EXPECT_EQ(batch.events(0).gap().count(), 0u);
  EXPECT_EQ(batch.events(0).gap().from_ns(), static_cast<uint64_t>(absl::ToUnixNanos(delivered)));
  EXPECT_EQ(batch.events(0).gap().to_ns(), static_cast<uint64_t>(absl::ToUnixNanos(now_)));
  EXPECT_EQ(batch.events(1).seq(), 3u);
}

TEST_F(DamageTest, AHoleIsAGapAndWhatFollowsIsDelivered) {
  for (const char* lost : {"origin BETWEEN 2 AND 3", "origin >= 4", "origin > 0"}) {
    Open();
    Append({Connect(1), Connect(2), Connect(3), Connect(4), Connect(5)});
    const uint64_t first = spool_->epoch();
    Execute(absl::StrCat("DELETE FROM events WHERE ", lost));
    Open();
    const std::vector<v1::Event> events = Deliver(first, /*batch_size=*/2);
    ASSERT_EQ(events.size(), 5u) << lost;
    int gaps = 0;
    for (const v1::Event& event : events) {
      if (event.kind() != v1::Event::GAP) continue;
      ++gaps;
      EXPECT_EQ(event.gap().reason(), v1::Gap::SPOOL_CORRUPT);
      EXPECT_EQ(event.gap().count(), 0u) << "each may have stood for many";
    }
    EXPECT_EQ(gaps, 1) << lost;
    ASSERT_TRUE(spool_->Acknowledge(first, 5).ok());
    Execute("DELETE FROM events; DELETE FROM epochs");
  }
}

TEST_F(DamageTest, EpochsAndMarksThatSaySomethingElseAreNotBelieved) {
  for (const char* damage :
       {"UPDATE epochs SET boot = 'another'", "UPDATE epochs SET acknowledged = 2",
        "UPDATE epochs SET last = 2", "UPDATE epochs SET last = 1 << 39",
        "UPDATE epochs SET epoch = epoch + 1", "UPDATE marks SET value = 8193",
        "UPDATE events SET id = id + 1000 WHERE origin = 3",
        "UPDATE events SET id = id + (1 << 41) WHERE origin = 3"}) {
    Open();
    EXPECT_TRUE(spool_->TakeSetAside().empty()) << damage;
    Append({Connect(1), Connect(2), Connect(3)}, {{"ring/a", 8192}});
    Execute(damage);
    Open();
    EXPECT_EQ(spool_->TakeSetAside().size(), 1u) << damage;
  }
}

TEST_F(DamageTest, AFlippedBitInWhatDescribesTheTablesIsSetAside) {
  Open();
  Append({Connect(1)});
  spool_.reset();
  std::ifstream whole(folder_ / kFileName, std::ios::binary);
  const std::string content(std::istreambuf_iterator<char>(whole), {});
  // A column that is not there, one of another type, an index of other rows.
  for (const char* text : {"crc INTEGER", "event BLOB", "weight BETWEEN 1"}) {
    SCOPED_TRACE(text);
    std::string damaged = content;
    const size_t at = damaged.find(text);
    ASSERT_NE(at, std::string::npos);
    char& last = damaged[at + strlen(text) - 1];
    last = static_cast<char>(last ^ 1);
    spool_.reset();
    std::filesystem::remove(folder_ / "spool.db-wal");
    Write(damaged);
    Open();
    EXPECT_EQ(spool_->TakeSetAside().size(), 1u);
    Append({Connect(1)});
  }
}

// The senders' book against what arrives, whichever bit of the file flips.
TEST_F(DamageTest, NoFlippedBitMakesAnEventThatWasNotOrHidesOneThatWas) {
  constexpr int kFlips = 400;
  Open(8 << 20);
  std::multiset<std::string> book;
  for (uint64_t seq = 1; seq <= 300; ++seq) {
    const Entry entry = Connect(seq, 33, v1::Event::DENIED, seq % 90);
    book.insert(entry.event.SerializeAsString());
    Append({entry}, {{"ring/a", seq * 8}});
  }
  const uint64_t epoch = spool_->epoch();
  spool_.reset();
  std::ifstream whole(folder_ / kFileName, std::ios::binary);
  const std::string content(std::istreambuf_iterator<char>(whole), {});
  std::minstd_rand random(20261122);
  int aside = 0;
  int gaps = 0;
  for (int flip = 0; flip < kFlips; ++flip) {
    const size_t bit = std::uniform_int_distribution<size_t>(0, content.size() * 8 - 1)(random);
    std::string damaged = content;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    SCOPED_TRACE(absl::StrCat("bit ", bit));
    spool_.reset();
    std::filesystem::remove(folder_ / "spool.db-wal");
    Write(damaged);
    Open(8 << 20);
    if (!spool_->TakeSetAside().empty()) {
      ++aside;
      continue;
    }
    EXPECT_EQ(*spool_->FindMark("ring/a"), 2400u);
    gaps += ExpectAccountedFor(book, epoch);
  }
  // Both happen, or this shows nothing.
  EXPECT_GT(aside, 0);
  EXPECT_GT(gaps, 0);
}

TEST_F(DamageTest, ATruncatedFileIsSetAsideOrSaysWhatItLost) {
  Open(8 << 20);
  std::multiset<std::string> book;
  for (uint64_t seq = 1; seq <= 300; ++seq) {
    const Entry entry = Connect(seq, 33, v1::Event::DENIED, 500);
    book.insert(entry.event.SerializeAsString());
    Append({entry});
  }
  const uint64_t epoch = spool_->epoch();
  spool_.reset();
  std::ifstream whole(folder_ / kFileName, std::ios::binary);
  const std::string content(std::istreambuf_iterator<char>(whole), {});
  for (const size_t left : {size_t{1}, size_t{100}, size_t{4096}, size_t{4097}, size_t{40'960},
                            content.size() / 2, content.size() - 4096, content.size() - 1}) {
    std::filesystem::remove(folder_ / "spool.db-wal");
    Write(content.substr(0, left));
    Open(8 << 20);
    if (spool_->TakeSetAside().empty()) {
      // SQLite takes what is missing of the last page for zeros.
      EXPECT_EQ(left, content.size() - 1) << " of " << content.size() << " bytes";
      ExpectAccountedFor(book, epoch);
      spool_.reset();
      continue;
    }
    Append({Connect(1)});
    EXPECT_THAT(Sequences(Read(spool_->epoch())), ElementsAre(1));
    spool_.reset();
  }
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
