// SPDX-License-Identifier: Apache-2.0
#include "agent/pump/watch.h"

#include "tests/unit/agent/pump/fixture.h"

namespace postern::pump {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class WatchTest : public PumpTest {
 protected:
  WatchTest() {
    kernel_.Attach();
    Look();
  }

  uint64_t Now() const { return static_cast<uint64_t>(absl::ToUnixNanos(absl::Now() + later_)); }

  // What the agent does every second.
  void Look() {
    looked_ns_ = Now();
    CountUp();
    Turn();
  }

  // The first start after a stop in which the hooks went and came back.
  void StartAfterRelease() {
    Kill();
    kernel_.Detach();
    later_ += absl::Hours(1);
    Start();
    kernel_.Attach();
  }

  // From the look at `last_ns`, or soon after, to the first one after `back_ns`.
  void ExpectOneGap(uint64_t last_ns, uint64_t back_ns) {
    ASSERT_THAT(SeenGaps(), SizeIs(1));
    const v1::Gap gap = SeenGaps()[0];
    EXPECT_EQ(gap.reason(), v1::Gap::NOT_WATCHED);
    EXPECT_EQ(gap.count(), 0u) << "how many passed is not known";
    EXPECT_GE(gap.from_ns(), last_ns);
    EXPECT_LT(gap.from_ns(), last_ns + 60'000'000'000);
    EXPECT_GE(gap.to_ns(), back_ns);
    EXPECT_LE(gap.to_ns(), Now());
  }

  uint64_t looked_ns_ = 0;
};

TEST_F(WatchTest, BeforeTheFirstStartNothingIsMissed) { EXPECT_THAT(SeenGaps(), IsEmpty()); }

TEST_F(WatchTest, HooksThatStayedHaveWatchedWhileNoAgentRan) {
  Kill();
  later_ += absl::Hours(1);
  Start();
  Look();
  EXPECT_THAT(SeenGaps(), IsEmpty());
}

TEST_F(WatchTest, TimeWithReleasedHooksIsOneGap) {
  const uint64_t last = looked_ns_;
  StartAfterRelease();
  const uint64_t back = Now();
  Look();
  Look();
  ExpectOneGap(last, back);
  // And the next start is one as any other.
  Kill();
  Start();
  Look();
  EXPECT_THAT(SeenGaps(), SizeIs(1));
}

TEST_F(WatchTest, AClockThatIsSetMeanwhileLeavesTheGapAsLongAsItWas) {
  for (const absl::Duration by : {absl::Hours(-2), absl::Hours(2)}) {
    seen_.clear();
    Look();
    const absl::Time last = absl::FromUnixNanos(looked_ns_) + ahead_;
    ahead_ += by;
    StartAfterRelease();
    CountUp();
    Turn();
    std::vector<v1::Gap> gaps = SeenGaps();
    std::erase_if(gaps, [](const v1::Gap& gap) { return gap.reason() != v1::Gap::NOT_WATCHED; });
    ASSERT_THAT(gaps, SizeIs(1));
    // By the new clock.
    EXPECT_GE(absl::FromUnixNanos(gaps[0].from_ns()), last + by - absl::Seconds(1));
    EXPECT_LT(absl::FromUnixNanos(gaps[0].from_ns()), last + by + absl::Minutes(1));
    EXPECT_GE(absl::FromUnixNanos(gaps[0].to_ns()), last + by + absl::Hours(1));
    EXPECT_LT(absl::FromUnixNanos(gaps[0].to_ns()), last + by + absl::Hours(1) + absl::Minutes(1));
  }
}

TEST_F(WatchTest, ARebootIsAGapFromTheLastSignOfLife) {
  const uint64_t last = looked_ns_;
  Kill();
  boot_ = "b2";
  later_ += absl::Hours(1);
  Start();
  const uint64_t back = Now();
  Look();
  ExpectOneGap(last, back);
}

TEST_F(WatchTest, WhereNothingHappensThereIsASignOfLifeEachMinute) {
  for (int minute = 0; minute < 10; ++minute) {
    later_ += absl::Minutes(1);
    Look();
  }
  const uint64_t last = looked_ns_;
  StartAfterRelease();
  const uint64_t back = Now();
  Look();
  ExpectOneGap(last, back);
}

TEST_F(WatchTest, AGapThatWasNotCommittedIsToldByTheNextStart) {
  const uint64_t last = looked_ns_;
  StartAfterRelease();
  CountUp();
  Kill();
  Start();
  const uint64_t back = Now();
  Look();
  ExpectOneGap(last, back);
}

TEST_F(WatchTest, AHookThatWasAwayIsAGapOnceItIsBack) {
  const uint64_t last = looked_ns_;
  kernel_.Detach();
  later_ += absl::Hours(1);
  Look();
  Look();
  EXPECT_THAT(SeenGaps(), IsEmpty());
  kernel_.Attach();
  const uint64_t back = Now();
  Look();
  Look();
  ExpectOneGap(last, back);
}

TEST_F(WatchTest, WhileAHookIsAwayItIsKnownSinceWhen) {
  EXPECT_EQ(pump_->not_watched_since_ns(), 0u);
  const uint64_t last = looked_ns_;
  kernel_.Detach();
  later_ += absl::Hours(1);
  Look();
  const uint64_t since = pump_->not_watched_since_ns();
  EXPECT_GE(since, last);
  EXPECT_LT(since, last + 60'000'000'000);
  Look();
  EXPECT_EQ(pump_->not_watched_since_ns(), since);
  kernel_.Attach();
  CountUp();
  EXPECT_EQ(pump_->not_watched_since_ns(), since) << "the GAP is not on the disk yet";
  Turn();
  EXPECT_EQ(pump_->not_watched_since_ns(), 0u);
  ASSERT_THAT(SeenGaps(), SizeIs(1));
  EXPECT_EQ(SeenGaps()[0].from_ns(), since);
}

TEST_F(WatchTest, AHookThatCameBackWhileNoAgentRanIsAGap) {
  const uint64_t last = looked_ns_;
  kernel_.Detach();
  later_ += absl::Hours(1);
  Look();
  Kill();
  kernel_.Attach();
  Start();
  const uint64_t back = Now();
  Look();
  ExpectOneGap(last, back);
}

TEST_F(WatchTest, WhatIsStillInTheRingsIsNotVouchedFor) {
  const uint64_t last = looked_ns_;
  later_ += absl::Minutes(5);
  for (size_t i = 0; i <= Pump::kRecordsAtOnce; ++i) kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  CountUp();
  ASSERT_TRUE(*pump_->Turn()) << "one record is left";
  EXPECT_NE(pump_->behind_since_ns(), 0u);
  StartAfterRelease();
  const uint64_t back = Now();
  CountUp();
  Turn();
  ExpectOneGap(last, back);
}

TEST_F(WatchTest, WhatTheSpoolDoesNotTakeIsBehind) {
  const uint64_t last = looked_ns_;
  EXPECT_EQ(pump_->behind_since_ns(), 0u);
  Kill();
  max_pages_ = 24;
  Start();
  later_ += absl::Minutes(5);
  for (int i = 0; i < 1000; ++i) kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  CountUp();
  ASSERT_FALSE(pump_->Turn().ok());
  EXPECT_GE(pump_->behind_since_ns(), last);
  EXPECT_LT(pump_->behind_since_ns(), last + 60'000'000'000);
}

}  // namespace
}  // namespace postern::pump
