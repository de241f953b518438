// SPDX-License-Identifier: Apache-2.0
#include "agent/pump/pump.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/unit/agent/pump/fixture.h"

namespace postern::pump {
namespace {

using sensor::Ring;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

TEST_F(PumpTest, RecordsOfBothRingsAreNamedCommittedAndReleased) {
  const uint64_t denied = kernel_.Connect(33, POSTERN_VERDICT_DENIED, "/usr/bin/perl", 3);
  const uint64_t allowed = kernel_.Connect(100, POSTERN_VERDICT_ALLOWED);
  Turn();
  EXPECT_THAT(SeenSequences(), UnorderedElementsAre(denied, allowed));
  EXPECT_EQ(seen_[0].user(), "u33");
  EXPECT_EQ(seen_[0].rule(), "rule-3");
  EXPECT_EQ(seen_[0].host(), "web1");
  EXPECT_EQ(seen_[0].exe(), "/usr/bin/perl");
  EXPECT_EQ(spool_->GetStats()->events, 2u);
  EXPECT_EQ(kernel_.Unreleased(Ring::kDenied), 0u);
  EXPECT_EQ(kernel_.Unreleased(Ring::kOther), 0u);
}

TEST_F(PumpTest, EventsOfBothRingsAreHandedOnInTheOrderOfTime) {
  std::vector<uint64_t> sequences;
  for (const auto verdict : {POSTERN_VERDICT_ALLOWED, POSTERN_VERDICT_DENIED,
                             POSTERN_VERDICT_ALLOWED, POSTERN_VERDICT_DENIED}) {
    sequences.push_back(kernel_.Connect(33, verdict));
  }
  Turn();
  EXPECT_EQ(SeenSequences(), sequences);
}

TEST_F(PumpTest, NothingIsReleasedBeforeTheSpoolHasIt) {
  Kill();
  max_pages_ = 24;
  Start();
  std::vector<uint64_t> sequences;
  sequences.reserve(1000);
  for (int i = 0; i < 1000; ++i) sequences.push_back(kernel_.Connect(33, POSTERN_VERDICT_DENIED));
  EXPECT_EQ(pump_->Turn().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(pump_->Turn().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(kernel_.Unreleased(Ring::kDenied), 1000u);
  EXPECT_THAT(seen_, IsEmpty());
  Kill();
  max_pages_ = 0;
  Start();
  Turn();
  EXPECT_EQ(SeenSequences(), sequences);
  EXPECT_EQ(kernel_.Unreleased(Ring::kDenied), 0u);
}

TEST_F(PumpTest, WhatWasCommittedButNotReleasedIsNotTakenTwice) {
  const uint64_t first = kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  // Killed between commit and release: the marks say what was taken.
  std::vector<spool::Mark> marks;
  spool::Entry entry;
  sensor_->Read(Ring::kDenied, 10, [&](absl::Span<const std::byte> bytes) {
    entry.event = sensor::Decode(bytes, 0)->event;
  });
  marks.push_back({"ring/7", sensor_->ReadPosition(Ring::kDenied)});
  ASSERT_TRUE(spool_->Append({entry}, marks).ok());
  Kill();
  EXPECT_EQ(kernel_.Unreleased(Ring::kDenied), 1u);
  const uint64_t second = kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Start();
  Turn();
  EXPECT_THAT(SeenSequences(), ElementsAre(second));
  EXPECT_EQ(entry.event.seq(), first);
  EXPECT_EQ(kernel_.Unreleased(Ring::kDenied), 0u);
}

TEST_F(PumpTest, MoreThanOneTurnTakesIsTakenByTheNext) {
  for (size_t i = 0; i < Pump::kRecordsAtOnce + 1; ++i) {
    kernel_.Connect(33, POSTERN_VERDICT_ALLOWED);
  }
  const auto turn = pump_->Turn();
  ASSERT_TRUE(turn.ok());
  EXPECT_TRUE(*turn);
  EXPECT_THAT(seen_, SizeIs(Pump::kRecordsAtOnce));
  Turn();
  EXPECT_THAT(seen_, SizeIs(Pump::kRecordsAtOnce + 1));
}

TEST_F(PumpTest, RepeatsAreResolvedByTheEventTheyStandFor) {
  const uint64_t first = kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Turn();
  kernel_.Repeat(first, 10, POSTERN_VERDICT_DENIED);
  CountUp();
  Turn();
  ASSERT_THAT(seen_, SizeIs(2));
  EXPECT_EQ(seen_[1].exe(), "/usr/bin/perl");
  EXPECT_EQ(seen_[1].comm(), "perl");
  EXPECT_EQ(seen_[1].user(), "u33");
  EXPECT_EQ(seen_[1].repeats(), 9u);
  EXPECT_NE(seen_[1].seq(), first);
  EXPECT_EQ(seen_[1].destination(), "192.0.2.1");
}

TEST_F(PumpTest, RepeatsThatComeWithTheirFirstAreResolvedToo) {
  const uint64_t first = kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  kernel_.Repeat(first, 2, POSTERN_VERDICT_DENIED);
  CountUp();
  Turn();
  ASSERT_THAT(seen_, SizeIs(2));
  EXPECT_EQ(seen_[1].exe(), "/usr/bin/perl");
}

TEST_F(PumpTest, RepeatsAreResolvedAcrossARestart) {
  const uint64_t first = kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Turn();
  Kill();
  kernel_.Repeat(first, 2, POSTERN_VERDICT_DENIED, POSTERN_REPEATS_SPREAD);
  Start();
  CountUp();
  Turn();
  ASSERT_THAT(seen_, SizeIs(2));
  EXPECT_EQ(seen_[1].exe(), "/usr/bin/perl");
  EXPECT_TRUE(seen_[1].destinations_not_kept());
  EXPECT_EQ(seen_[1].destination(), "");
  EXPECT_FALSE(seen_[1].has_pid());
}

TEST_F(PumpTest, RepeatsOfNothingKnownKeepWhatTheySay) {
  kernel_.Repeat(0, 5, POSTERN_VERDICT_DENIED);
  kernel_.Repeat(77, 5, POSTERN_VERDICT_DENIED);
  CountUp();
  Turn();
  ASSERT_THAT(seen_, SizeIs(2));
  EXPECT_EQ(seen_[0].user(), "u33");
  EXPECT_EQ(seen_[1].repeats(), 4u);
}

TEST_F(PumpTest, AClockThatIsSetIsAnEventWithBothTimes) {
  const auto clock_steps = [this] {
    std::vector<v1::Event> steps;
    for (const v1::Event& event : seen_) {
      if (event.kind() == v1::Event::CLOCK_STEP) steps.push_back(event);
    }
    return steps;
  };
  Turn();
  ahead_ = absl::Hours(1);
  Turn();
  ahead_ = absl::Minutes(-30);
  Turn();
  Turn();
  ASSERT_EQ(clock_steps().size(), 2u);
  constexpr uint64_t kHour = 3'600'000'000'000;
  const v1::Event forward = clock_steps()[0];
  EXPECT_NEAR(static_cast<double>(forward.last_time_ns() - forward.time_ns()), kHour, 1e9);
  EXPECT_THAT(forward.message(), testing::StartsWith("the clock was set forward by "));
  EXPECT_EQ(forward.host(), "web1");
  const v1::Event back = clock_steps()[1];
  EXPECT_NEAR(static_cast<double>(back.last_time_ns() - back.time_ns()), 1.5 * kHour, 1e9);
  EXPECT_THAT(back.message(), testing::StartsWith("the clock was set back by "));
  EXPECT_GT(back.boot_time_ns(), forward.boot_time_ns());
}

TEST_F(PumpTest, TheTimeInWhichTheClockWasWrongIsInDoubtByEitherClock) {
  Turn();
  pump_->ClockAgreed(BootNowNs());
  Turn();
  ahead_ = absl::Hours(1);
  Turn();
  kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Turn();
  const uint64_t misplaced = seen_.back().time_ns();
  ahead_ = absl::ZeroDuration();
  Turn();
  constexpr uint64_t kHour = 3'600'000'000'000;
  const auto in_doubt = [&](uint64_t time) {
    const std::vector<v1::Gap> gaps = SeenGaps();
    return std::any_of(gaps.begin(), gaps.end(), [&](const v1::Gap& gap) {
      return gap.reason() == v1::Gap::CLOCK_SET && gap.count() == 0 && gap.from_ns() <= time &&
             time <= gap.to_ns();
    });
  };
  EXPECT_TRUE(in_doubt(misplaced));
  EXPECT_TRUE(in_doubt(misplaced - kHour));
  EXPECT_FALSE(in_doubt(misplaced - kHour / 2));
  EXPECT_FALSE(in_doubt(misplaced - 2 * kHour));
}

TEST_F(PumpTest, AClockThatIsSetWhileNoAgentRunsIsToldByTheNext) {
  kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Turn();
  Kill();
  ahead_ = absl::Minutes(-20);
  Start();
  Turn();
  const auto step = std::find_if(seen_.begin(), seen_.end(), [](const v1::Event& event) {
    return event.kind() == v1::Event::CLOCK_STEP;
  });
  ASSERT_NE(step, seen_.end());
  EXPECT_EQ(step->message(), "the clock was set back by 20m");
  EXPECT_THAT(SeenGaps(), testing::Not(IsEmpty()));
  // Once.
  const size_t seen = seen_.size();
  Kill();
  Start();
  Turn();
  EXPECT_EQ(seen_.size(), seen);
}

TEST_F(PumpTest, EventsKeepTheirOrderAndTheirBootTimeAcrossAClockThatIsSetBack) {
  kernel_.Connect(33, POSTERN_VERDICT_ALLOWED);
  Turn();
  ahead_ = absl::Hours(-1);
  kernel_.Connect(33, POSTERN_VERDICT_ALLOWED);
  Turn();
  std::vector<v1::Event> connects;
  for (const v1::Event& event : seen_) {
    if (event.kind() == v1::Event::CONNECT) connects.push_back(event);
  }
  ASSERT_EQ(connects.size(), 2u);
  EXPECT_LT(connects[1].time_ns(), connects[0].time_ns());
  EXPECT_GT(connects[1].seq(), connects[0].seq());
  EXPECT_GE(connects[1].boot_time_ns(), connects[0].boot_time_ns());
  EXPECT_GT(connects[0].boot_time_ns(), 0u);
}

TEST_F(PumpTest, ARecordThatCannotBeReadIsAGapAndTheNextOneIsTaken) {
  kernel_.Write(Ring::kDenied, std::vector<std::byte>(64, std::byte{0xff}));
  kernel_.Write(Ring::kDenied, std::vector<std::byte>(3));
  const uint64_t good = kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Turn();
  EXPECT_THAT(SeenSequences(), ElementsAre(good));
  ASSERT_THAT(SeenGaps(), SizeIs(1));
  EXPECT_EQ(SeenGaps()[0].reason(), v1::Gap::UNREADABLE);
  EXPECT_EQ(SeenGaps()[0].count(), 2u);
  EXPECT_EQ(pump_->unreadable(), 2u);
  EXPECT_EQ(kernel_.Unreleased(Ring::kDenied), 0u);
}

TEST_F(PumpTest, ADamagedSpoolIsReportedByAGapAndALine) {
  Kill();
  std::ofstream(folder_ / "spool.db", std::ios::trunc) << std::string(10'000, 'g');
  const uint64_t seq = kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Start();
  Turn();
  EXPECT_THAT(SeenSequences(), ElementsAre(seq));
  ASSERT_THAT(SeenGaps(), SizeIs(1));
  EXPECT_EQ(SeenGaps()[0].reason(), v1::Gap::SPOOL_CORRUPT);
  EXPECT_EQ(SeenGaps()[0].count(), 0u) << "how many were lost is not known";
  EXPECT_THAT(pump_->damage(), ElementsAre(testing::HasSubstr("spool.db.corrupt-")));
}

TEST_F(PumpTest, ASpoolThatIsGoneIsReportedByAGapAndALine) {
  Kill();
  ASSERT_TRUE(std::filesystem::remove(folder_ / spool::kFileName));
  Start();
  Turn();
  ASSERT_THAT(SeenGaps(), SizeIs(1));
  EXPECT_EQ(SeenGaps()[0].reason(), v1::Gap::SPOOL_CORRUPT);
  EXPECT_THAT(pump_->damage(), ElementsAre(testing::HasSubstr("the spool's file was gone")));
}

TEST_F(PumpTest, EventsOfTheAgentCarryItsName) {
  v1::Event event;
  event.set_kind(v1::Event::POLICY);
  event.set_message("agent started");
  pump_->Add(event);
  Turn();
  ASSERT_THAT(seen_, SizeIs(1));
  EXPECT_EQ(seen_[0].host(), "web1");
  EXPECT_EQ(seen_[0].agent(), "a1");
  EXPECT_GT(seen_[0].time_ns(), 0u);
}

}  // namespace
}  // namespace postern::pump
