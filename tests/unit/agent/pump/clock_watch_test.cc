// SPDX-License-Identifier: Apache-2.0
#include "agent/pump/clock_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace postern::pump {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr int64_t kMinute = 60'000'000'000;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
// The machine started at this time, by a clock that is right.
constexpr int64_t kBoot = 20'000 * kDay;

class ClockWatchTest : public testing::Test {
 protected:
  ClockWatchTest() {
    OpenSpool("b1");
    Start();
  }

  void OpenSpool(const std::string& boot) {
    spool::Options options;
    options.folder = folder_.path();
    options.boot = boot;
    auto spool = spool::Spool::Open(options);
    EXPECT_TRUE(spool.ok()) << spool.status();
    spool_ = *std::move(spool);
  }

  void Start(int64_t watched_until = 0) {
    clock_ = std::make_unique<ClockWatch>(
        *spool_, [this] { return offset_; }, [this] { return now_; });
    ASSERT_TRUE(clock_->Load(watched_until).ok());
  }

  void Reboot(int64_t watched_until) {
    clock_.reset();
    spool_.reset();
    OpenSpool("b2");
    Start(watched_until);
  }

  // One turn of the agent.
  void Turn() {
    gaps_.clear();
    steps_ = 0;
    std::vector<spool::Entry> entries;
    for (v1::Event& event : clock_->Observe()) {
      if (event.kind() == v1::Event::CLOCK_STEP) ++steps_;
      if (event.kind() == v1::Event::GAP) {
        EXPECT_EQ(event.gap().reason(), v1::Gap::CLOCK_SET);
        EXPECT_EQ(event.gap().count(), 0u);
        gaps_.emplace_back(event.gap().from_ns(), event.gap().to_ns());
      }
      entries.push_back({std::move(event)});
    }
    ASSERT_TRUE(spool_->Append(entries, clock_->Marks()).ok());
  }

  TemporaryFolder folder_;
  std::unique_ptr<spool::Spool> spool_;
  std::unique_ptr<ClockWatch> clock_;
  int64_t offset_ = kBoot;
  int64_t now_ = kDay;  // since boot
  std::vector<std::pair<int64_t, int64_t>> gaps_;
  int steps_ = 0;
};

TEST_F(ClockWatchTest, AClockThatNobodySetsIsNotSpokenOf) {
  for (int i = 0; i < 3; ++i) {
    now_ += kHour;
    offset_ += 1'000;  // what reading two clocks makes of it
    Turn();
    EXPECT_EQ(steps_, 0);
    EXPECT_THAT(gaps_, IsEmpty());
  }
}

TEST_F(ClockWatchTest, WhatACollectorVouchedForIsNotInDoubt) {
  clock_->Agreed(now_);
  now_ += kMinute;
  Turn();
  offset_ += 2 * kHour;
  Turn();
  EXPECT_EQ(steps_, 1);
  EXPECT_THAT(gaps_,
              ElementsAre(Pair(kBoot + kDay, kBoot + kDay + kMinute),
                          Pair(kBoot + kDay + 2 * kHour, kBoot + kDay + 2 * kHour + kMinute)));
  // Set right again: the time in between, by either clock.
  now_ += 5 * kMinute;
  offset_ -= 2 * kHour;
  Turn();
  EXPECT_THAT(gaps_, ElementsAre(Pair(kBoot + kDay + 2 * kHour + kMinute,
                                      kBoot + kDay + 2 * kHour + 6 * kMinute),
                                 Pair(kBoot + kDay + kMinute, kBoot + kDay + 6 * kMinute)));
}

TEST_F(ClockWatchTest, TimesThatBothClocksHaveAreOneGap) {
  clock_->Agreed(now_);
  now_ += kHour;
  Turn();
  offset_ -= kMinute;
  Turn();
  EXPECT_THAT(gaps_, ElementsAre(Pair(kBoot + kDay - kMinute, kBoot + kDay + kHour)));
}

TEST_F(ClockWatchTest, LessThanAMinutePutsTheLastMinuteInDoubt) {
  offset_ += kMinute / 2;
  Turn();
  EXPECT_EQ(steps_, 1);
  EXPECT_THAT(gaps_, ElementsAre(Pair(kBoot + kDay - kMinute, kBoot + kDay + kMinute / 2)));
  // Nobody says that it is right since then.
  now_ += kHour;
  offset_ += 2 * kDay;
  Turn();
  EXPECT_THAT(gaps_,
              ElementsAre(Pair(kBoot + kMinute / 2, kBoot + 3 * kDay + kHour + kMinute / 2)));
}

TEST_F(ClockWatchTest, WhereNobodyVouchedAllSinceBootIsInDoubtAndTheTimeThatItWasOff) {
  offset_ = 0;  // a machine without a battery: 1970
  now_ = kMinute;
  Start(kBoot - kDay);
  offset_ = kBoot;
  Turn();
  EXPECT_THAT(gaps_, ElementsAre(Pair(1, kMinute), Pair(kBoot - kDay, kBoot + kMinute)));
}

TEST_F(ClockWatchTest, OfAFirstStartTheTimeBetweenBothClocksIsInDoubtAndNoOther) {
  offset_ = 0;
  now_ = kMinute;
  Start();
  offset_ = kBoot;
  Turn();
  // What lies at the beginning must not look like that of the record.
  EXPECT_THAT(gaps_, ElementsAre(Pair(1, kBoot + kMinute)));
}

TEST_F(ClockWatchTest, AFirstStartByAClockThatIsAheadPutsNoEarlierTimeInDoubt) {
  offset_ = kBoot + kHour;
  Start();
  offset_ = kBoot;
  Turn();
  EXPECT_THAT(gaps_, ElementsAre(Pair(kBoot, kBoot + kDay + kHour)));
}

TEST_F(ClockWatchTest, EventsOfABootByAClockThatIsBehindDoNotLookLikeTheBeginning) {
  Turn();
  // Years before the first agent, and set right.
  const int64_t began = kBoot + now_;
  const int64_t watched = began + kHour;
  const int64_t year = 365 * kDay;
  now_ = kMinute;
  offset_ = watched + kMinute - 5 * year;
  Reboot(watched);
  Turn();
  EXPECT_THAT(gaps_, IsEmpty());
  offset_ += 5 * year;
  Turn();
  EXPECT_THAT(gaps_, ElementsAre(Pair(watched + kMinute - 5 * year, began),
                                 Pair(watched, watched + 2 * kMinute)));
}

TEST_F(ClockWatchTest, AClockThatACollectorSaysIsWrongPutsItsTimesInDoubtEachMinute) {
  offset_ = kBoot - kHour;
  Start(kBoot + kDay / 2);
  Turn();
  clock_->Differed(now_, -kHour);
  Turn();
  EXPECT_EQ(steps_, 0);
  const int64_t wrong = kBoot - kHour;
  // Since boot, by either clock, and until it is told again.
  EXPECT_THAT(gaps_, ElementsAre(Pair(wrong, kBoot + kDay + kMinute)));
  clock_->Differed(now_ + kMinute / 2, -kHour);
  Turn();
  EXPECT_THAT(gaps_, IsEmpty());
  now_ += 2 * kMinute;
  clock_->Differed(now_, -kHour);
  Turn();
  EXPECT_THAT(gaps_, ElementsAre(Pair(wrong + kDay + kMinute, wrong + kDay + 3 * kMinute),
                                 Pair(kBoot + kDay + kMinute, kBoot + kDay + 3 * kMinute)));
  now_ += kMinute;
  clock_->Agreed(now_);
  Turn();
  now_ += kMinute;
  Turn();
  EXPECT_THAT(gaps_, IsEmpty());
}

TEST_F(ClockWatchTest, AClockThatIsSetFromOneWrongTimeToAnotherIsToldOfAtOnce) {
  clock_->Agreed(now_);
  Turn();
  offset_ += 2 * kHour;
  Turn();
  now_ += kMinute / 2;
  clock_->Differed(now_, 2 * kHour);
  Turn();
  offset_ -= kHour;
  Turn();
  const int64_t set = now_;
  now_ += kMinute / 6;
  clock_->Differed(now_, kHour);
  Turn();
  EXPECT_THAT(gaps_, ElementsAre(Pair(offset_ + set, offset_ + now_ + kMinute),
                                 Pair(kBoot + set, kBoot + now_ + kMinute)));
}

TEST_F(ClockWatchTest, EventsFromBeforeTheFirstAgentDoNotLookLikeItsBeginning) {
  clock_->Agreed(now_);
  Turn();
  now_ += kMinute;
  offset_ -= kHour;
  Turn();
  EXPECT_THAT(gaps_, ElementsAre(Pair(kBoot + kDay - kHour, kBoot + kDay + kMinute)));
}

TEST_F(ClockWatchTest, AWordForTheOldClockThatComesLateDoesNotCountForTheNewOne) {
  clock_->Agreed(now_);
  Turn();
  now_ += kHour;
  clock_->Agreed(now_ - kMinute);
  offset_ += kHour;
  Turn();
  ASSERT_EQ(gaps_.size(), 1u);
  EXPECT_EQ(gaps_[0].first, kBoot + kDay);
}

TEST_F(ClockWatchTest, AClockThatWasSetWhileNoAgentRanIsToldOnce) {
  clock_->Agreed(now_);
  Turn();
  now_ += kHour;
  offset_ -= kDay;
  Start();
  Turn();
  EXPECT_EQ(steps_, 1);
  EXPECT_THAT(gaps_, ElementsAre(Pair(kBoot, kBoot + kDay + kHour)));
  Start();
  Turn();
  EXPECT_EQ(steps_, 0);
}

TEST_F(ClockWatchTest, WhatCouldNotBeCommittedIsToldByTheNextAgent) {
  Turn();
  offset_ += kHour;
  ASSERT_EQ(clock_->Observe().size(), 2u);
  Start();
  Turn();
  EXPECT_EQ(steps_, 1);
}

}  // namespace
}  // namespace postern::pump
