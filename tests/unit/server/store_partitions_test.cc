// SPDX-License-Identifier: Apache-2.0
// Partitions begin, are sealed, expire, and are set aside when they are damaged.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "tests/unit/server/sqlite_fixture.h"

namespace postern::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kDay = 24 * kHour;

class StorePartitionsTest : public SqliteTest {
 protected:
  // A day's partition each; the last is the one to write to.
  void WriteDays(int days) {
    for (int day = 0; day < days; ++day) {
      now_ = kStart + day * kDay;
      v1::Event event = Named(Connect(now_), "day" + std::to_string(day));
      event.set_exe("/usr/bin/perl");
      Write("web1", {event});
    }
  }
  // As WriteDays() names them, of the days that are asked for.
  static EventFilter Days(int first, int end) {
    EventFilter filter;
    filter.window = {kStart + first * kDay, kStart + end * kDay};
    return filter;
  }
  // Bytes deep in a file, as a disk loses them.
  static void Damage(const std::string& file) {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    const auto size = static_cast<std::streamoff>(std::filesystem::file_size(file));
    for (std::streamoff at = 4096; at < size; at += 4096) {
      stream.seekp(at).write(std::string(64, '\xa5').data(), 64);
    }
  }
  // A bit where `text` begins.
  static void Flip(const std::string& file, const std::string& text) {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    const std::string content(std::istreambuf_iterator<char>(stream), {});
    const size_t at = content.find(text);
    ASSERT_NE(at, std::string::npos);
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(static_cast<char>(text[0] ^ 1));
  }
  std::vector<v1::Gap::Reason> Reasons(const EventFilter& filter) {
    std::vector<v1::Gap::Reason> reasons;
    const v1::Completeness answer = Complete(filter);
    for (const v1::HostGap& gap : answer.gaps()) reasons.push_back(gap.gap().reason());
    return reasons;
  }
  size_t CountSetAside() {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(PartitionFolder(File()))) {
      const std::string name = entry.path().filename();
      const bool log = name.size() > 4 && name.compare(name.size() - 4, 4, "-wal") == 0;
      if (name.find(".damaged-") != std::string::npos && !log) ++count;
    }
    return count;
  }
};

TEST_F(StorePartitionsTest, NewOneBeginsAfterADayAndAllAreAsked) {
  WriteDays(3);
  EXPECT_EQ(CountParts(), 3u);
  EXPECT_THAT(FoundNames(), ElementsAre("day2", "day1", "day0"));
  EXPECT_THAT(FoundNames(Days(1, 2)), ElementsAre("day1"));
  EXPECT_THAT(FoundNames({}, 2), ElementsAre("day2", "day1"));
  EXPECT_TRUE(truncated_);
  Reopen();
  EXPECT_THAT(FoundNames(), ElementsAre("day2", "day1", "day0"));
}

TEST_F(StorePartitionsTest, OneThatEndedIsAFileWithoutALog) {
  WriteDays(2);
  EXPECT_FALSE(std::filesystem::exists(Part(1) + "-wal"));
  EXPECT_TRUE(std::filesystem::exists(Part(2) + "-wal"));
}

TEST_F(StorePartitionsTest, EventSentAgainInALaterOneIsDropped) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 3)), 3u);
  now_ = kStart + kDay;
  EXPECT_EQ(*Write("web1", 7, 2, Numbered(2, 4)), 4u);
  now_ = kStart + 2 * kDay;
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 4)), 4u);
  Reopen();
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 4u);
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 5)), 5u);
  EXPECT_THAT(FoundNames(), ElementsAre("5", "4", "3", "2", "1"));
}

TEST_F(StorePartitionsTest, EventsThatComeLateAreFoundAtTheirTime) {
  WriteDays(2);
  Write("web2", {Named(Connect(kStart + kHour), "late")});
  EXPECT_THAT(FoundNames(Days(0, 1)), ElementsAre("late", "day0"));
  EXPECT_THAT(FoundNames(), ElementsAre("day1", "late", "day0"));
}

TEST_F(StorePartitionsTest, RetentionDropsAFileAndItsEventsWithIt) {
  WriteDays(4);
  Close();
  Open(absl::Hours(48) - absl::Nanoseconds(1));
  EXPECT_TRUE(Eventually([&] { return CountParts() == 2; }));
  EXPECT_FALSE(std::filesystem::exists(Part(1)));
  EXPECT_THAT(FoundNames(), ElementsAre("day3", "day2"));
  EventFilter filter;
  filter.exes = {{"/usr/bin/perl", false}};
  EXPECT_THAT(FoundNames(filter), ElementsAre("day3", "day2"));
}

TEST_F(StorePartitionsTest, PartitionStaysWhileAnEventReachesIntoTheRetention) {
  now_ = kStart + 30 * kHour;
  Write("web1", {Named(Connect(kStart), "old"),
                 Named(Repeated(kStart, kStart + 30 * kHour, 5), "reaches in")});
  now_ = kStart + 72 * kHour;
  Close();
  Open(absl::Hours(48));
  Write("web1", {Named(Connect(now_), "new")});
  Close();
  Open(absl::Hours(48));
  // Dropped with the last of its events.
  EXPECT_THAT(FoundNames(), ElementsAre("new", "reaches in", "old"));
  now_ = kStart + 79 * kHour;
  Close();
  Open(absl::Hours(48));
  EXPECT_TRUE(Eventually([&] { return Found().size() == 1; }));
}

TEST_F(StorePartitionsTest, ClockThatRunsAheadDoesNotKeepAPartitionForEver) {
  Write("web1", {Named(Connect(kStart + 10'000 * kDay), "of the future")});
  now_ = kStart + 3 * kDay;
  Close();
  Open(absl::Hours(48));
  EXPECT_TRUE(Eventually([&] { return Found().empty(); }));
}

TEST_F(StorePartitionsTest, DroppedOneDoesNotComeBackWhenACrashLeftItsFile) {
  WriteDays(2);
  Close();
  std::filesystem::copy_file(Part(1), sqlite().folder / "kept");
  Open(absl::Hours(12));
  EXPECT_TRUE(Eventually([&] { return CountParts() == 1; }));
  Close();
  // As if the crash had come before the file went.
  std::filesystem::copy_file(sqlite().folder / "kept", Part(1));
  Sql(File(), "INSERT INTO partitions VALUES (1, 2, 0, 0, 0, 0, 0, 1, 1, 1)");
  Open();
  EXPECT_THAT(FoundNames(), ElementsAre("day1"));
  EXPECT_FALSE(std::filesystem::exists(Part(1)));
}

TEST_F(StorePartitionsTest, WindowBehindTheRetentionIsNotComplete) {
  Write("web1", {Connect(kStart)});
  now_ = kStart + 2 * kDay;
  Welcome("web1", 7);
  Close();
  Open(absl::Hours(24));
  EXPECT_TRUE(Eventually([&] { return Found().empty(); }));
  const v1::Completeness behind = Complete(Days(0, 2));
  EXPECT_FALSE(behind.complete());
  ASSERT_EQ(behind.gaps_size(), 1);
  EXPECT_EQ(behind.gaps(0).host(), "web1");
  EXPECT_EQ(behind.gaps(0).gap().reason(), v1::Gap::EXPIRED);
  EXPECT_EQ(behind.gaps(0).gap().from_ns(), static_cast<uint64_t>(kStart));
  EventFilter later;
  later.window = {now_ - kHour, now_};
  EXPECT_TRUE(Complete(later).complete());
  EXPECT_TRUE(Complete().complete());
}

TEST_F(StorePartitionsTest, WindowOfHostsThatRetentionForgotIsNotComplete) {
  Write("web1", {Connect(kStart)});
  Close();
  now_ = kStart + 2 * kDay;
  Open(absl::Hours(24));
  EXPECT_TRUE(Eventually([&] { return store_->Hosts()->empty(); }));
  EventFilter filter;
  filter.window = {kStart, kStart + kHour};
  EXPECT_FALSE(Complete(filter).complete());
  EXPECT_EQ(Complete(filter).gaps_size(), 1);
}

TEST_F(StorePartitionsTest, OneCutShortIsSetAsideAndToldWhileTheOthersAnswer) {
  WriteDays(3);
  Close();
  std::filesystem::resize_file(Part(2), 5000);
  Open();
  Welcome("web1", 99);
  EXPECT_THAT(FoundNames(), ElementsAre("day2", "day0"));
  EXPECT_EQ(CountSetAside(), 1u);
  EXPECT_THAT(Reasons(Days(1, 2)), ElementsAre(v1::Gap::STORE_DAMAGED));
  EXPECT_THAT(Reasons(Days(0, 1)), IsEmpty());
  EXPECT_TRUE(Complete(Days(0, 1)).complete());
  Reopen();
  EXPECT_FALSE(Complete(Days(1, 2)).complete());
}

TEST_F(StorePartitionsTest, FlippedBitInWhatDescribesTheTablesIsSetAside) {
  WriteDays(2);
  for (const int part : {1, 2}) {
    Close();
    Flip(Part(part), "attempts INTEGER");
    Open();
    Welcome("web1", 99);
    EXPECT_EQ(CountSetAside(), static_cast<size_t>(part));
    EXPECT_THAT(Reasons(Days(part - 1, part)), ElementsAre(v1::Gap::STORE_DAMAGED));
  }
  EXPECT_THAT(FoundNames(), IsEmpty());
}

// The senders' book against the answers, whichever bit of either file flips: an answer
// that says it is whole is, and none holds an event that was not.
TEST_F(StorePartitionsTest, NoFlippedBitMakesAnEventThatWasNotOrHidesOneThatWas) {
  constexpr int kFlips = 200;
  const auto found = [&](std::multiset<std::string>& events) {
    return store_
        ->Find(
            {}, 0, [] { return false; },
            [&](const v1::Event& event) {
              events.insert(event.SerializeAsString());
              return true;
            })
        .ok();
  };
  std::vector<v1::Event> events;
  for (int i = 0; i < 300; ++i) {
    events.push_back(Named(Connect(kStart + i * kSecond), "c" + std::to_string(i % 7)));
    events.back().set_destination("192.0.2." + std::to_string(i % 256));
    events.back().set_pid(static_cast<uint32_t>(i));
  }
  now_ = kStart + kHour;
  Welcome("web1", 7);
  ASSERT_TRUE(Write("web1", 7, 1, events).ok());
  std::multiset<std::string> book;
  ASSERT_TRUE(found(book));
  ASSERT_EQ(book.size(), events.size());
  Close();
  const std::string whole = sqlite().folder / "whole.db";
  CopyStore(File(), whole);
  std::minstd_rand random(20261122);
  int noticed = 0;
  for (int flip = 0; flip < kFlips; ++flip) {
    Close();
    CopyStore(whole, File());
    std::fstream file(Part(1), std::ios::binary | std::ios::in | std::ios::out);
    const auto bits = static_cast<int64_t>(std::filesystem::file_size(Part(1))) * 8;
    const int64_t bit = std::uniform_int_distribution<int64_t>(0, bits - 1)(random);
    SCOPED_TRACE("bit " + std::to_string(bit));
    file.seekg(bit / 8);
    const int byte = file.get();
    file.seekp(bit / 8);
    file.put(static_cast<char>(byte ^ (1 << (bit % 8))));
    file.close();
    Open();
    Welcome("web1", 7);
    std::multiset<std::string> answered;
    EXPECT_TRUE(Eventually([&] {
      answered.clear();
      return found(answered);
    }));
    EXPECT_TRUE(std::includes(book.begin(), book.end(), answered.begin(), answered.end()));
    if (answered == book) continue;
    ++noticed;
    EventFilter hour;
    hour.window = {kStart, kStart + kHour};
    EXPECT_FALSE(Complete(hour).complete());
  }
  EXPECT_GT(noticed, 0);
}

TEST_F(StorePartitionsTest, MissingOneIsTold) {
  WriteDays(3);
  Close();
  std::filesystem::remove(Part(2));
  Open();
  EXPECT_THAT(FoundNames(), ElementsAre("day2", "day0"));
  EXPECT_FALSE(Complete(Days(1, 2)).complete());
}

TEST_F(StorePartitionsTest, EmptiedOneIsToldAndWritingGoesOn) {
  WriteDays(2);
  Close();
  std::filesystem::resize_file(Part(2), 0);
  Open();
  EXPECT_THAT(FoundNames(), ElementsAre("day0"));
  EXPECT_FALSE(Complete(Days(1, 2)).complete());
  Write("web2", {Named(Connect(now_), "new")});
  EXPECT_THAT(FoundNames(), ElementsAre("new", "day0"));
}

TEST_F(StorePartitionsTest, DamageThatAQuestionMeetsIsSetAsideThen) {
  WriteDays(3);
  Close();
  Flip(Part(2), "day1");
  Open();
  EXPECT_EQ(CountSetAside(), 0u);
  EXPECT_TRUE(Eventually([&] {
    return store_
        ->Find(
            {}, 0, [] { return false; }, [](const v1::Event&) { return true; })
        .ok();
  }));
  EXPECT_THAT(FoundNames(), ElementsAre("day2", "day0"));
  EXPECT_THAT(Reasons(Days(1, 2)), ElementsAre(v1::Gap::STORE_DAMAGED));
  EXPECT_EQ(CountSetAside(), 1u);
}

TEST_F(StorePartitionsTest, DamagedOneToWriteToIsSetAsideAndWritingGoesOn) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 200)), 200u);
  Close();
  Damage(Part(1));
  Open();
  EXPECT_EQ(CountSetAside(), 1u);
  EXPECT_THAT(Found(), IsEmpty());
  EXPECT_FALSE(Complete(Days(0, 1)).complete());
  // What a damaged file says of marks is not believed: an agent that was told of
  // more sends what is left in a new epoch.
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 0u);
  EXPECT_EQ(*Write("web1", 8, 1, Numbered(201, 202)), 2u);
  EXPECT_THAT(FoundNames(), ElementsAre("202", "201"));
}

TEST_F(StorePartitionsTest, OneThatIsPutBackAnswersAgain) {
  WriteDays(3);
  Close();
  std::filesystem::copy_file(Part(2), sqlite().folder / "backup");
  std::filesystem::resize_file(Part(2), 5000);
  Open();
  EXPECT_THAT(Found(), SizeIs(2));
  Close();
  std::filesystem::copy_file(sqlite().folder / "backup", Part(2));
  Open();
  Welcome("web1", 99);
  EXPECT_THAT(FoundNames(), ElementsAre("day2", "day1", "day0"));
  EXPECT_TRUE(Complete(Days(1, 2)).complete());
}

TEST_F(StorePartitionsTest, CopyUnderAnotherNumberIsSetAsideAndNothingIsMissing) {
  namespace fs = std::filesystem;
  WriteDays(3);
  // Of the one that is written to as it was a moment ago, and of one that has ended.
  Copy(Part(3), Part(7));
  Write("web1", {Named(Connect(now_), "later")});
  Close();
  fs::copy_file(Part(2), Part(4));
  testing::internal::CaptureStderr();
  Open();
  const std::string log = testing::internal::GetCapturedStderr();
  Welcome("web1", 99);
  EXPECT_THAT(FoundNames(), ElementsAre("later", "day2", "day1", "day0"));
  EXPECT_THAT(log, HasSubstr(Part(4) + ": is a copy of " + Part(2)));
  EXPECT_THAT(log, HasSubstr(Part(7) + ": is a copy of " + Part(3)));
  EXPECT_EQ(CountSetAside(), 2u);
  EXPECT_TRUE(Complete(Days(0, 3)).complete());
  Write("web1", {Named(Connect(now_), "after")});
  Reopen();
  EXPECT_THAT(Found(), SizeIs(5));
}

TEST_F(StorePartitionsTest, FileOfAnotherPartitionUnderOnesNameIsSetAsideAndTold) {
  WriteDays(3);
  Close();
  constexpr auto kOver = std::filesystem::copy_options::overwrite_existing;
  ASSERT_EQ(std::filesystem::file_size(Part(1)), std::filesystem::file_size(Part(2)));
  std::filesystem::copy_file(Part(1), Part(2), kOver);
  Open();
  Welcome("web1", 99);
  EXPECT_THAT(FoundNames(), ElementsAre("day2", "day0"));
  EXPECT_THAT(Reasons(Days(1, 2)), ElementsAre(v1::Gap::STORE_DAMAGED));
  // Neither is it taken when it is put where one was set aside, nor for the one that
  // is written to.
  Close();
  std::filesystem::copy_file(Part(1), Part(2));
  std::filesystem::copy_file(Part(1), Part(3), kOver);
  Open();
  Welcome("web1", 99);
  EXPECT_THAT(FoundNames(), ElementsAre("day0"));
  EXPECT_EQ(CountSetAside(), 3u);
  EXPECT_THAT(Reasons(Days(1, 2)), ElementsAre(v1::Gap::STORE_DAMAGED));
}

TEST_F(StorePartitionsTest, OlderCopyOfTheOneThatIsWrittenToIsToldWhatItLacks) {
  Write("web1", {Named(Connect(kStart + kHour), "kept")});
  Copy(Part(1), sqlite().folder / "older");
  // Moves the bounds that the catalog knows.
  Write("web1", {Named(Connect(kStart), "lost")});
  Close();
  Copy(sqlite().folder / "older", Part(1));
  Open();
  EXPECT_EQ(CountSetAside(), 1u);
  EventFilter filter;
  filter.window = {kStart, kStart + 2 * kHour};
  EXPECT_FALSE(Complete(filter).complete());
}

}  // namespace
}  // namespace postern::server
