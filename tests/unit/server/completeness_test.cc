// SPDX-License-Identifier: Apache-2.0
#include "server/store/completeness.h"

#include <algorithm>
#include <limits>

#include "tests/unit/server/store_fixture.h"

namespace postern::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CompletenessTest : public StoreContractTest {
 protected:
  static EventFilter Window(int64_t since, int64_t until, std::vector<std::string> hosts = {}) {
    EventFilter filter;
    filter.window = {since, until};
    filter.hosts = std::move(hosts);
    return filter;
  }
  std::vector<std::string> Silent(const EventFilter& filter) {
    const v1::Completeness answer = Complete(filter);
    return {answer.silent_hosts().begin(), answer.silent_hosts().end()};
  }
};

TEST_P(CompletenessTest, HostThatIsHeardOfIsComplete) {
  Welcome("web1", 7);
  Write("web1", {Connect(kStart)});
  const v1::Completeness answer = Complete(Window(kStart, kStart + kHour));
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(answer.missing(), 0u);
  EXPECT_FALSE(answer.truncated());
}

TEST_P(CompletenessTest, NothingIsCompleteWhileNoHostIsKnown) {
  EXPECT_FALSE(Complete().complete());
  EXPECT_FALSE(Complete(Window(kStart - kHour, kStart)).complete());
  Welcome("web1", 7);
  EXPECT_TRUE(Complete().complete());
}

TEST_P(CompletenessTest, TimeToComeIsNotComplete) {
  Welcome("web1", 7);
  EXPECT_THAT(Silent(Window(kStart + kHour, kStart + 2 * kHour)), ElementsAre("web1"));
  EXPECT_FALSE(Complete(Window(kStart + 1, kStart + kHour)).complete());
  // What began already counts up to now.
  EXPECT_TRUE(Complete(Window(kStart, kStart + kHour)).complete());
}

TEST_P(CompletenessTest, HostHeardOfBeforeTheCollectorsClockWasSetBackIsSilentUntilItIsHeardAgain) {
  Welcome("web1", 7);
  now_ = kStart - 24 * kHour;
  EXPECT_THAT(Silent(Window(now_ - kHour, now_)), ElementsAre("web1"));
  store_->Heard("web1", v1::AgentState());
  EXPECT_TRUE(Eventually([&] { return Silent(Window(now_ - kHour, now_)).empty(); }));
}

TEST_P(CompletenessTest, GapWithinTheWindowIsToldAndCounted) {
  Welcome("web1", 7);
  Write("web1", {Connect(kStart - 2 * kHour)});
  Write("web1", {GapOf(5, kStart - kMinute, kStart), GapOf(2, kStart, kStart + kSecond)});
  const v1::Completeness answer = Complete(Window(kStart - kHour, kStart + kHour));
  EXPECT_FALSE(answer.complete());
  EXPECT_EQ(answer.missing(), 7u);
  ASSERT_EQ(answer.gaps_size(), 2);
  EXPECT_EQ(answer.gaps(1).host(), "web1");
  EXPECT_EQ(answer.gaps(1).gap().count(), 5u);
  EXPECT_EQ(answer.gaps(1).gap().from_ns(), static_cast<uint64_t>(kStart - kMinute));
  EXPECT_EQ(answer.gaps(1).gap().to_ns(), static_cast<uint64_t>(kStart));
  EXPECT_EQ(answer.gaps(1).gap().reason(), v1::Gap::RING_OTHER_FULL);
}

TEST_P(CompletenessTest, GapCountsWhereverItTouchesTheWindow) {
  Welcome("web1", 7);
  Write("web1", {Connect(kStart - 5 * kHour), GapOf(5, kStart - 3 * kHour, kStart - kHour)});
  EXPECT_FALSE(Complete(Window(kStart - 2 * kHour, kStart)).complete());
  EXPECT_FALSE(Complete(Window(kStart - kHour, kStart)).complete());
  EXPECT_FALSE(Complete(Window(kStart - 4 * kHour, kStart - 3 * kHour + 1)).complete());
  EXPECT_TRUE(Complete(Window(kStart - 4 * kHour, kStart - 3 * kHour)).complete());
  EXPECT_TRUE(Complete(Window(kStart - kHour + 1, kStart)).complete());
}

TEST_P(CompletenessTest, GapOfAnotherHostDoesNotCount) {
  Welcome("web1", 7);
  Welcome("web2", 8);
  Write("web2", {GapOf(5, kStart, kStart)});
  EXPECT_TRUE(Complete(Window(kStart, kStart + kHour, {"web1"})).complete());
  EXPECT_FALSE(Complete(Window(kStart, kStart + kHour, {"web2"})).complete());
  EXPECT_FALSE(Complete(Window(kStart, kStart + kHour)).complete());
}

TEST_P(CompletenessTest, ManyGapsAreAllCountedAndSomeListed) {
  Welcome("web1", 7);
  Write("web1", std::vector<v1::Event>(kMaxGapsListed + 5, GapOf(1, kStart, kStart)));
  const v1::Completeness answer = Complete();
  EXPECT_EQ(answer.missing(), static_cast<uint64_t>(kMaxGapsListed) + 5);
  EXPECT_EQ(answer.gaps_size(), kMaxGapsListed);
}

TEST_P(CompletenessTest, GapsOfAllHostsAreListedNewestFirst) {
  Welcome("web1", 7);
  Welcome("web2", 8);
  Write("web1", {GapOf(1, kStart + kSecond, kStart + 2 * kSecond),
                 GapOf(2, kStart + 5 * kSecond, kStart + 6 * kSecond)});
  Write("web2", {GapOf(3, kStart + 3 * kSecond, kStart + 4 * kSecond),
                 GapOf(4, kStart + 7 * kSecond, kStart + 8 * kSecond)});
  const auto counts = [&] {
    const v1::Completeness answer = Complete();
    std::vector<uint64_t> found;
    for (const v1::HostGap& gap : answer.gaps()) found.push_back(gap.gap().count());
    return found;
  };
  EXPECT_THAT(counts(), ElementsAre(4, 2, 3, 1));
  // Those that are not listed are the oldest, whosever they are.
  Write("web1", std::vector<v1::Event>(size_t{3} * kMaxGapsListed, GapOf(9, kStart, kStart)));
  const std::vector<uint64_t> many = counts();
  ASSERT_EQ(many.size(), static_cast<size_t>(kMaxGapsListed));
  EXPECT_THAT(std::vector<uint64_t>(many.begin(), many.begin() + 5), ElementsAre(4, 2, 3, 1, 9));
}

TEST_P(CompletenessTest, HostIsSilentPastTheToleranceAndNotBefore) {
  Welcome("web1", 7);
  now_ = kStart + kHeartbeatToleranceNs;
  EXPECT_TRUE(Complete(Window(kStart, now_)).complete());
  now_ = kStart + kHeartbeatToleranceNs + 1;
  EXPECT_THAT(Silent(Window(kStart, now_)), ElementsAre("web1"));
  EXPECT_FALSE(Complete(Window(kStart, now_)).complete());
  // Without an end the window reaches to now.
  EXPECT_THAT(Silent({}), ElementsAre("web1"));
  store_->Heard("web1", {});
  Welcome("web2", 8);
  EXPECT_THAT(Silent({}), IsEmpty());
}

TEST_P(CompletenessTest, HostThatLeftIsSilentAtOnce) {
  Welcome("web1", 7);
  now_ = kStart + kMinute;
  EXPECT_TRUE(Complete().complete());
  store_->Left("web1");
  // Answered behind it.
  Welcome("web2", 8);
  EXPECT_THAT(Silent({}), ElementsAre("web1"));
  now_ = kStart + 2 * kMinute;
  EXPECT_THAT(Silent(Window(kStart, kStart + kMinute, {"web1"})), ElementsAre("web1"));
  Welcome("web1", 7);
  EXPECT_THAT(Silent({}), IsEmpty());
}

TEST_P(CompletenessTest, HostThatWentSilentLaterIsCompleteForTheTimeBefore) {
  Welcome("web1", 7);
  now_ = kStart + kHour;
  Welcome("web1", 7);
  now_ = kStart + 10 * kHour;
  EXPECT_TRUE(Complete(Window(kStart, kStart + kHour)).complete());
  EXPECT_FALSE(Complete(Window(kStart, kStart + 2 * kHour)).complete());
}

TEST_P(CompletenessTest, HostThatCameAfterTheWindowHadNotReportedAndIsNotSilent) {
  Welcome("web1", 7);
  now_ = kStart + 10 * kHour;
  Welcome("web1", 7);
  Welcome("web2", 8);
  EXPECT_TRUE(Complete(Window(kStart, kStart + kHour, {"web1"})).complete());
  constexpr int64_t kEver = std::numeric_limits<int64_t>::min();
  for (const int64_t since : {kStart, kEver}) {
    const v1::Completeness answer = Complete(Window(since, kStart + kHour));
    EXPECT_FALSE(answer.complete());
    EXPECT_THAT(answer.silent_hosts(), IsEmpty());
    ASSERT_EQ(answer.gaps_size(), 1);
    EXPECT_EQ(answer.gaps(0).host(), "web2");
    EXPECT_EQ(answer.gaps(0).gap().reason(), v1::Gap::NOT_REPORTED);
    EXPECT_EQ(answer.gaps(0).gap().from_ns(), static_cast<uint64_t>(std::max<int64_t>(since, 0)));
    EXPECT_EQ(answer.gaps(0).gap().to_ns(), static_cast<uint64_t>(now_));
  }
}

TEST_P(CompletenessTest, EventsFromBeforeTheFirstContactCountAsKnown) {
  now_ = kStart + 10 * kHour;
  Welcome("web2", 8);
  Write("web2", {Connect(kStart)});
  EXPECT_THAT(Silent(Window(kStart, kStart + kHour, {"web2"})), IsEmpty());
}

TEST_P(CompletenessTest, TimeBeforeTheFirstReportIsAGap) {
  Welcome("web1", 7);
  now_ = kStart + kHour;
  Welcome("web1", 7);
  const v1::Completeness answer = Complete(Window(kStart - kHour, kStart + kMinute));
  EXPECT_FALSE(answer.complete());
  EXPECT_THAT(answer.silent_hosts(), IsEmpty());
  ASSERT_EQ(answer.gaps_size(), 1);
  EXPECT_EQ(answer.gaps(0).host(), "web1");
  EXPECT_EQ(answer.gaps(0).gap().reason(), v1::Gap::NOT_REPORTED);
  EXPECT_EQ(answer.gaps(0).gap().from_ns(), static_cast<uint64_t>(kStart - kHour));
  EXPECT_EQ(answer.gaps(0).gap().to_ns(), static_cast<uint64_t>(kStart));
  EXPECT_FALSE(Complete(Window(kStart - 1, kStart + kMinute)).complete());
  EXPECT_TRUE(Complete(Window(kStart, kStart + kMinute)).complete());
}

TEST_P(CompletenessTest, EventsOfWhichTheAgentTellsAreMissedUntilTheyArrive) {
  Welcome("web1", 7);
  now_ = kStart + kHour;
  v1::AgentState state;
  state.set_oldest_pending_ns(static_cast<uint64_t>(kStart + kMinute));
  store_->Heard("web1", state);
  // Answered behind it.
  Welcome("web2", 8);
  const std::vector<std::string> web1 = {"web1"};
  const v1::Completeness answer = Complete(Window(kStart, kStart + kHour, web1));
  EXPECT_FALSE(answer.complete());
  ASSERT_EQ(answer.gaps_size(), 1);
  EXPECT_EQ(answer.gaps(0).host(), "web1");
  EXPECT_EQ(answer.gaps(0).gap().reason(), v1::Gap::NOT_ARRIVED);
  EXPECT_EQ(answer.gaps(0).gap().from_ns(), static_cast<uint64_t>(kStart + kMinute));
  EXPECT_EQ(answer.gaps(0).gap().to_ns(), static_cast<uint64_t>(kStart + kHour));
  EXPECT_FALSE(Complete(Window(kStart, kStart + kMinute + 1, web1)).complete());
  EXPECT_TRUE(Complete(Window(kStart, kStart + kMinute, web1)).complete());
  // Also once it has left with them.
  store_->Left("web1");
  Welcome("web2", 8);
  EXPECT_FALSE(Complete(Window(kStart, kStart + kMinute + 1, web1)).complete());

  // Each batch says what is left behind it.
  Write("web1", {Connect(kStart + kMinute)}, kStart + 30 * kMinute);
  EXPECT_TRUE(Complete(Window(kStart, kStart + 30 * kMinute, web1)).complete());
  EXPECT_FALSE(Complete(Window(kStart, kStart + kHour, web1)).complete());
  Write("web1", {Connect(kStart + 30 * kMinute)});
  EXPECT_TRUE(Complete(Window(kStart, kStart + kHour, web1)).complete());
}

TEST_P(CompletenessTest, TimeInWhichTheAgentSaysThatItDoesNotJudgeIsAGap) {
  Welcome("web1", 7);
  now_ = kStart + kHour;
  v1::AgentState state;
  state.set_not_watched_since_ns(static_cast<uint64_t>(kStart + kMinute));
  store_->Heard("web1", state);
  // Answered behind it.
  Welcome("web2", 8);
  const std::vector<std::string> web1 = {"web1"};
  const v1::Completeness answer = Complete(Window(kStart, kStart + kHour, web1));
  EXPECT_FALSE(answer.complete());
  ASSERT_EQ(answer.gaps_size(), 1);
  EXPECT_EQ(answer.gaps(0).host(), "web1");
  EXPECT_EQ(answer.gaps(0).gap().reason(), v1::Gap::NOT_WATCHED);
  EXPECT_EQ(answer.gaps(0).gap().from_ns(), static_cast<uint64_t>(kStart + kMinute));
  EXPECT_EQ(answer.gaps(0).gap().to_ns(), static_cast<uint64_t>(kStart + kHour));
  EXPECT_FALSE(Complete(Window(kStart, kStart + kMinute + 1, web1)).complete());
  EXPECT_TRUE(Complete(Window(kStart, kStart + kMinute, web1)).complete());
  // Batches say nothing of it, the next Hello does.
  Write("web1", {Connect(kStart + kMinute)});
  EXPECT_FALSE(Complete(Window(kStart, kStart + kHour, web1)).complete());
  Welcome("web1", 7);
  EXPECT_TRUE(Complete(Window(kStart, kStart + kHour, web1)).complete());
}

TEST_P(CompletenessTest, ABatchThatIsRefusedSaysNothingOfWhatIsPending) {
  v1::Hello hello;
  hello.set_host("web1");
  hello.set_epoch(7);
  hello.mutable_state()->set_oldest_pending_ns(static_cast<uint64_t>(kStart));
  Welcome(hello);
  now_ = kStart + kHour;
  EXPECT_FALSE(Write("web1", 7, 5, {Connect(kStart)}).ok());
  EXPECT_FALSE(Complete(Window(kStart, kStart + kHour)).complete());
  EXPECT_TRUE(Write("web1", 7, 1, {Connect(kStart)}).ok());
  EXPECT_TRUE(Complete(Window(kStart, kStart + kHour)).complete());
}

TEST_P(CompletenessTest, WhatAnInstallationBeforeHadNotSentIsAGap) {
  v1::Hello hello;
  hello.set_host("web1");
  hello.set_agent("first");
  hello.set_epoch(7);
  Welcome(hello);
  now_ = kStart + kHour;
  hello.mutable_state()->set_oldest_pending_ns(static_cast<uint64_t>(kStart + 30 * kMinute));
  Welcome(hello);
  now_ = kStart + 3 * kHour;
  hello.set_agent("second");
  hello.clear_state();
  Welcome(hello);
  Welcome(hello);
  EXPECT_TRUE(Complete(Window(kStart, kStart + 30 * kMinute)).complete());
  const v1::Completeness answer = Complete(Window(kStart, now_));
  ASSERT_EQ(answer.gaps_size(), 1);
  EXPECT_EQ(answer.gaps(0).gap().reason(), v1::Gap::NOT_WATCHED);
  EXPECT_EQ(answer.gaps(0).gap().from_ns(), static_cast<uint64_t>(kStart + 30 * kMinute));
  EXPECT_EQ(answer.gaps(0).gap().to_ns(), static_cast<uint64_t>(now_));
  now_ = kStart + 4 * kHour;
  Welcome(hello);
  EXPECT_TRUE(Complete(Window(kStart + 3 * kHour + 1, now_)).complete());
}

TEST_P(CompletenessTest, WhatAnInstallationBeforeDidNotJudgeIsAGap) {
  v1::Hello hello;
  hello.set_host("web1");
  hello.set_agent("first");
  hello.set_epoch(7);
  Welcome(hello);
  now_ = kStart + kHour;
  hello.mutable_state()->set_not_watched_since_ns(static_cast<uint64_t>(kStart + kMinute));
  Welcome(hello);
  now_ = kStart + 2 * kHour;
  hello.set_agent("second");
  hello.clear_state();
  Welcome(hello);
  EXPECT_TRUE(Complete(Window(kStart, kStart + kMinute)).complete());
  EXPECT_FALSE(Complete(Window(kStart, kStart + kMinute + 1)).complete());
}

TEST_P(CompletenessTest, HostNeverHeardOfIsUnknown) {
  Welcome("web1", 7);
  const v1::Completeness answer = Complete(Window(kStart, kStart + 1, {"typo", "web1"}));
  EXPECT_FALSE(answer.complete());
  EXPECT_THAT(answer.unknown_hosts(), ElementsAre("typo"));
  EXPECT_THAT(answer.silent_hosts(), IsEmpty());
}

TEST_P(CompletenessTest, BatchesCountAsHeard) {
  Welcome("web1", 7);
  now_ = kStart + kHour;
  Write("web1", {Connect(kStart)});
  EXPECT_THAT(Silent({}), IsEmpty());
}

class ElsewhereTest : public StoreContractTest {
 protected:
  // An agent whose events a collector has acknowledged up to there.
  v1::Hello HelloOf(uint64_t epoch, uint64_t acknowledged_epoch, uint64_t position) {
    v1::Hello hello;
    hello.set_host("web1");
    hello.set_agent("agent-of-web1");
    hello.set_epoch(epoch);
    hello.add_pending_epochs(acknowledged_epoch);
    hello.mutable_last_acknowledged()->set_epoch(acknowledged_epoch);
    hello.mutable_last_acknowledged()->set_position(position);
    return hello;
  }
  std::vector<v1::Gap> Gaps(int64_t since, int64_t until) {
    EventFilter filter;
    filter.window = {since, until};
    std::vector<v1::Gap> gaps;
    const v1::Completeness answer = Complete(filter);
    for (const v1::HostGap& gap : answer.gaps()) {
      if (gap.gap().reason() == v1::Gap::ELSEWHERE) gaps.push_back(gap.gap());
    }
    return gaps;
  }
};

TEST_P(ElsewhereTest, AStoreThatWasReplacedByAnOlderCopySaysWhatItLacks) {
  Welcome("web1", 7);
  EXPECT_EQ(*Write("web1", 7, 1, {Connect(kStart), Connect(kStart)}), 2u);
  now_ = kStart + kMinute;
  store_->Heard("web1", {});
  Settle();
  // Meanwhile the other store went on to position 50.
  now_ = kStart + kHour;
  const std::vector<v1::EpochMark> marks = Welcome(HelloOf(7, 7, 50));
  ASSERT_EQ(marks.size(), 1u);
  EXPECT_EQ(marks[0].position(), 50u) << "the agent goes on from there";
  ASSERT_EQ(Gaps(kStart + 2 * kMinute, kStart + 3 * kMinute).size(), 1u);
  EXPECT_EQ(Gaps(kStart, kStart + kSecond).size(), 0u) << "of that time it has all";
  // Told once, and the next batch fits.
  now_ = kStart + kHour + kMinute;
  Welcome(HelloOf(7, 7, 50));
  EXPECT_EQ(Gaps(kStart, kStart + 2 * kHour).size(), 1u);
  EXPECT_EQ(*Write("web1", 7, 51, {Connect(kStart + kHour)}), 51u);
}

TEST_P(ElsewhereTest, AnEpochThatOnlyAnotherCollectorKnowsIsAGapToo) {
  Welcome("web1", 7);
  now_ = kStart + kHour;
  Welcome(HelloOf(9, 8, 12));
  EXPECT_EQ(Gaps(kStart + kMinute, kStart + 2 * kMinute).size(), 1u);
}

TEST_P(ElsewhereTest, AHostThatComesFromAnotherCollectorHasNoWholeRecordBefore) {
  Welcome(HelloOf(9, 8, 12));
  // What was still pending there, of an hour ago.
  EXPECT_EQ(*Write("web1", 9, 1, {Connect(kStart - kHour)}), 1u);
  EXPECT_EQ(Gaps(kStart - kMinute, kStart - kSecond).size(), 1u);
  now_ = kStart + kHour;
  store_->Heard("web1", {});
  EXPECT_EQ(Gaps(kStart + kMinute, kStart + 2 * kMinute).size(), 0u);
}

TEST_P(ElsewhereTest, WhatThisStoreAcknowledgedIsNotElsewhere) {
  Welcome("web1", 7);
  EXPECT_EQ(*Write("web1", 7, 1, {Connect(kStart), Connect(kStart)}), 2u);
  now_ = kStart + kHour;
  Welcome(HelloOf(8, 7, 2));
  Welcome(HelloOf(8, 7, 1));
  EXPECT_EQ(Gaps(kStart, kStart + 2 * kHour).size(), 0u);
}

INSTANTIATE_STORE_CONTRACT(CompletenessTest);
INSTANTIATE_STORE_CONTRACT(ElsewhereTest);

}  // namespace
}  // namespace postern::server
