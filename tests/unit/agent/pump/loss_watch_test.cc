// SPDX-License-Identifier: Apache-2.0
#include "agent/pump/loss_watch.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "tests/unit/agent/pump/fixture.h"

namespace postern::pump {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

TEST_F(PumpTest, AnIncreaseOfALossCounterIsOneGapWithItsTime) {
  Turn();
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 5);
  CountUp();
  Turn();
  CountUp();
  Turn();
  ASSERT_THAT(SeenGaps(), SizeIs(1));
  EXPECT_EQ(SeenGaps()[0].reason(), v1::Gap::RING_OTHER_FULL);
  EXPECT_EQ(SeenGaps()[0].count(), 5u);
  EXPECT_LT(SeenGaps()[0].from_ns(), SeenGaps()[0].to_ns());
  EXPECT_EQ(seen_.back().host(), "web1");
}

TEST_F(PumpTest, EachKindOfLossHasItsReason) {
  kernel_.Lose(POSTERN_COUNTER_LOST_DENIED, 1);
  kernel_.Lose(POSTERN_COUNTER_LOST_REPEATS, 2);
  CountUp();
  Turn();
  ASSERT_THAT(SeenGaps(), SizeIs(2));
  EXPECT_EQ(SeenGaps()[0].reason(), v1::Gap::RING_DENIED_FULL);
  EXPECT_EQ(SeenGaps()[1].reason(), v1::Gap::REPEATS_FULL);
  EXPECT_EQ(LostIn(pump_->counters()), 3u);
}

TEST_F(PumpTest, ALossThatWasReportedIsNotReportedByTheNextStart) {
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 5);
  CountUp();
  Turn();
  const uint64_t reported_until = SeenGaps().back().to_ns();
  Kill();
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 2);
  Start();
  CountUp();
  Turn();
  ASSERT_THAT(SeenGaps(), SizeIs(2));
  EXPECT_EQ(SeenGaps()[1].count(), 2u);
  EXPECT_GE(SeenGaps()[1].from_ns(), reported_until);
}

TEST_F(PumpTest, ALossThatWasReportedIsNotReportedByAnAgentWithAnotherSpool) {
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 5);
  kernel_.Lose(POSTERN_COUNTER_LOST_DENIED, 7);
  CountUp();
  Turn();
  const uint64_t reported_until = SeenGaps().back().to_ns();
  Kill();
  RemoveSpool();
  seen_.clear();
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 2);
  Start();
  CountUp();
  Turn();
  ASSERT_THAT(SeenGaps(), SizeIs(1));
  EXPECT_EQ(SeenGaps()[0].reason(), v1::Gap::RING_OTHER_FULL);
  EXPECT_EQ(SeenGaps()[0].count(), 2u);
  EXPECT_GE(SeenGaps()[0].from_ns(), reported_until);
}

TEST_F(PumpTest, ALossThatWasNotCommittedIsReportedByAnAgentWithAnotherSpool) {
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 5);
  CountUp();
  Kill();
  RemoveSpool();
  Start();
  CountUp();
  Turn();
  ASSERT_THAT(SeenGaps(), SizeIs(1));
  EXPECT_EQ(SeenGaps()[0].count(), 5u);
}

TEST_F(PumpTest, ALossThatWasNotCommittedIsReportedByTheNextStart) {
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 5);
  CountUp();
  Kill();
  Start();
  CountUp();
  Turn();
  ASSERT_THAT(SeenGaps(), SizeIs(1));
  EXPECT_EQ(SeenGaps()[0].count(), 5u);
}

TEST_F(PumpTest, ALossAcrossAClockThatIsSetBackCoversAllTheTimeItMayHaveHappenedIn) {
  const auto losses = [this] {
    std::vector<v1::Gap> gaps = SeenGaps();
    gaps.erase(
        std::remove_if(gaps.begin(), gaps.end(),
                       [](const v1::Gap& gap) { return gap.reason() != v1::Gap::RING_OTHER_FULL; }),
        gaps.end());
    return gaps;
  };
  ahead_ = absl::Hours(2);
  CountUp();
  Turn();
  const auto before = static_cast<uint64_t>(absl::ToUnixNanos(absl::Now() + ahead_));
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 5);
  ahead_ = absl::ZeroDuration();
  CountUp();
  Turn();
  ASSERT_THAT(losses(), SizeIs(1));
  EXPECT_LE(losses()[0].from_ns(), static_cast<uint64_t>(absl::GetCurrentTimeNanos()));
  EXPECT_GE(losses()[0].to_ns(), before - 1'000'000'000);
  // And the next one is told of by the clock as it is now.
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 1);
  CountUp();
  Turn();
  ASSERT_THAT(losses(), SizeIs(2));
  EXPECT_LE(losses()[1].to_ns(), static_cast<uint64_t>(absl::GetCurrentTimeNanos()));
}

TEST_F(PumpTest, WithoutLossesNothingIsReported) {
  kernel_.Connect(33, POSTERN_VERDICT_ALLOWED);
  CountUp();
  Turn();
  EXPECT_THAT(SeenGaps(), IsEmpty());
}

TEST_F(PumpTest, LossesAreAProblemUntilThereWereNoneForAWhile) {
  CountUp();
  EXPECT_EQ(pump_->recent_loss(), "");
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 5);
  CountUp();
  EXPECT_THAT(pump_->recent_loss(), StartsWith("events were lost: 5, the last"));
  later_ += LossWatch::kRecent - absl::Minutes(1);
  kernel_.Lose(POSTERN_COUNTER_LOST_DENIED, 2);
  CountUp();
  later_ += LossWatch::kRecent - absl::Minutes(1);
  CountUp();
  EXPECT_THAT(pump_->recent_loss(), StartsWith("events were lost: 7, the last"));
  later_ += absl::Minutes(2);
  EXPECT_EQ(pump_->recent_loss(), "");
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 1);
  CountUp();
  EXPECT_THAT(pump_->recent_loss(), StartsWith("events were lost: 1, the last"));
}

}  // namespace
}  // namespace postern::pump
