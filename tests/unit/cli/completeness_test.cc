// SPDX-License-Identifier: Apache-2.0
#include "cli/completeness.h"

#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace postern::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

// 2026-03-01T14:30:00Z
constexpr uint64_t kAfternoon = 1'772'375'400'000'000'000;

v1::Completeness Holes() {
  v1::Completeness completeness;
  completeness.set_missing(12);
  completeness.add_silent_hosts("web2");
  v1::HostGap* gap = completeness.add_gaps();
  gap->set_host("web1");
  gap->mutable_gap()->set_reason(v1::Gap::SPOOL_FULL);
  gap->mutable_gap()->set_count(12);
  gap->mutable_gap()->set_from_ns(kAfternoon);
  gap->mutable_gap()->set_to_ns(kAfternoon + 1'500'000'000);
  return completeness;
}

std::string Printed(const v1::Completeness& completeness, std::optional<size_t> width,
                    uint32_t limit = 0) {
  std::ostringstream out;
  PrintCompleteness(out, completeness, Zone::kUtc, width, limit);
  return out.str();
}

TEST(CompletenessTest, ACompleteRecordIsSaidSoInOneLine) {
  v1::Completeness completeness;
  completeness.set_complete(true);
  EXPECT_EQ(Printed(completeness, std::nullopt), "The record is complete for this time.\n");
}

TEST(CompletenessTest, WhatIsMissingIsNamedAndTheLastLineSaysItAll) {
  EXPECT_EQ(Printed(Holes(), std::nullopt),
            "web1: 12 events missing between 2026-03-01 14:30:00 and 2026-03-01 14:30:01 UTC: "
            "the agent's spool was full\n"
            "Not heard of up to the end of this time: web2\n"
            "The record is NOT complete for this time: 12 events missing, 1 host silent.\n");
}

TEST(CompletenessTest, AClockThatWasSetLosesNothingButPutsTimesInDoubt) {
  v1::Completeness completeness;
  v1::HostGap* gap = completeness.add_gaps();
  gap->set_host("web1");
  gap->mutable_gap()->set_reason(v1::Gap::CLOCK_SET);
  gap->mutable_gap()->set_from_ns(1'772'375'400'000'000'000);
  gap->mutable_gap()->set_to_ns(1'772'375'460'000'000'000);
  EXPECT_EQ(Printed(completeness, std::nullopt),
            "web1: the clock was set: events between 2026-03-01 14:30:00 and 2026-03-01 "
            "14:31:00 UTC may lie under another time\n"
            "The record is NOT complete for this time: a clock was set.\n");
}

TEST(CompletenessTest, ANumberThatNobodyKnowsIsSaidToBeUnknown) {
  v1::Completeness completeness = Holes();
  completeness.clear_silent_hosts();
  v1::HostGap damaged = completeness.gaps(0);
  damaged.mutable_gap()->clear_count();
  damaged.mutable_gap()->set_reason(v1::Gap::SPOOL_CORRUPT);
  *completeness.add_gaps() = damaged;
  EXPECT_THAT(Printed(completeness, std::nullopt),
              EndsWith("web1: an unknown number of events missing between 2026-03-01 14:30:00 and "
                       "2026-03-01 14:30:01 UTC: the agent's spool was damaged or removed\n"
                       "The record is NOT complete for this time: at least 12 events missing.\n"));
  completeness.mutable_gaps()->DeleteSubrange(0, 1);
  completeness.clear_missing();
  EXPECT_THAT(Printed(completeness, std::nullopt),
              EndsWith("\nThe record is NOT complete for this time: an unknown number of events "
                       "missing.\n"));
}

TEST(CompletenessTest, TimeBeforeTheFirstReportAndEventsToComeAreToldAsWhatTheyAre) {
  v1::Completeness completeness;
  v1::HostGap* gap = completeness.add_gaps();
  gap->set_host("web1");
  gap->mutable_gap()->set_reason(v1::Gap::NOT_REPORTED);
  gap->mutable_gap()->set_to_ns(kAfternoon);
  gap = completeness.add_gaps();
  gap->set_host("web2");
  gap->mutable_gap()->set_reason(v1::Gap::NOT_ARRIVED);
  gap->mutable_gap()->set_from_ns(kAfternoon);
  EXPECT_EQ(Printed(completeness, std::nullopt),
            "web1: no agent had reported before 2026-03-01 14:30:00 UTC\n"
            "web2: events from 2026-03-01 14:30:00 UTC on have not arrived yet\n"
            "The record is NOT complete for this time: an unknown number of events missing.\n");
}

TEST(CompletenessTest, AHostThatTheCollectorDoesNotKnowIsNotCalledSilent) {
  v1::Completeness completeness;
  completeness.add_unknown_hosts("nosuch");
  EXPECT_EQ(Printed(completeness, std::nullopt),
            "This collector knows no such host: nosuch\n"
            "The record is NOT complete for this time: 1 host unknown.\n");
  EXPECT_EQ(CompletenessJson(completeness).at("unknown_hosts").dump(), R"(["nosuch"])");
}

TEST(CompletenessTest, EveryReasonIsSaidInWords) {
  for (int number = 1; number < v1::Gap::Reason_ARRAYSIZE; ++number) {
    if (!v1::Gap::Reason_IsValid(number)) continue;
    if (number == v1::Gap::READER_SLOW) continue;  // of `postern tail` alone
    v1::Gap gap;
    gap.set_reason(static_cast<v1::Gap::Reason>(number));
    EXPECT_THAT(GapText(gap, Zone::kUtc), Not(HasSubstr("reason"))) << number;
  }
}

TEST(CompletenessTest, ACollectorThatKnowsNoAgentIsToldInOneLine) {
  EXPECT_EQ(Printed(v1::Completeness(), std::nullopt),
            "The record is NOT complete for this time: this collector knows of no "
            "agent.\n");
}

TEST(CompletenessTest, ALimitThatCutTheAnswerIsToldApartFromARecordThatLacksEvents) {
  v1::Completeness completeness;
  completeness.set_complete(true);
  completeness.set_truncated(true);
  const std::string text = Printed(completeness, 80, 20);
  EXPECT_THAT(text, HasSubstr("raise --limit"));
  // Who asked for all cannot ask for more.
  EXPECT_THAT(Printed(completeness, 80), HasSubstr("name a host or a shorter time"));
  EXPECT_THAT(text, EndsWith("The record is complete for this time.\n"));
}

TEST(CompletenessTest, ManyGapsDoNotBuryTheAnswerOnATerminal) {
  v1::Completeness completeness = Holes();
  for (int i = 0; i < 99; ++i) *completeness.add_gaps() = completeness.gaps(0);
  EXPECT_THAT(Printed(completeness, 80), HasSubstr("… and 80 gaps more; --json lists all\n"));
  EXPECT_THAT(Printed(completeness, std::nullopt), Not(HasSubstr("--json")));
}

TEST(CompletenessTest, JsonHasEveryKeyWhetherOrNotSomethingIsMissing) {
  EXPECT_EQ(CompletenessJson(v1::Completeness()).dump(),
            R"({"kind":"completeness","complete":false,"missing":0,"silent_hosts":[],)"
            R"("unknown_hosts":[],"truncated":false,"gaps":[]})");
  EXPECT_EQ(CompletenessJson(Holes()).dump(),
            R"({"kind":"completeness","complete":false,"missing":12,"silent_hosts":["web2"],)"
            R"("unknown_hosts":[],"truncated":false,)"
            R"("gaps":[{"host":"web1","from":"2026-03-01T14:30:00.000000000Z",)"
            R"("to":"2026-03-01T14:30:01.500000000Z","count":12,"reason":"spool_full"}]})");
}

}  // namespace
}  // namespace postern::cli
