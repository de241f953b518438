// SPDX-License-Identifier: Apache-2.0
#include "common/time_text.h"

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace postern {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kSecond = 1'000'000'000;
// 2026-03-01T14:30:00Z
constexpr uint64_t kAfternoon = 1'772'375'400 * kSecond;
constexpr uint64_t kNow = kAfternoon + 7200 * kSecond;

uint64_t Parsed(const std::string& text) {
  const auto time = ParseTime(text, kNow);
  EXPECT_TRUE(time.ok()) << text << ": " << time.status().message();
  return time.value_or(0);
}

TEST(TimeTextTest, NanosecondsSurvivePrinting) {
  EXPECT_EQ(FormatTime(kAfternoon + 1), "2026-03-01T14:30:00.000000001Z");
  EXPECT_EQ(FormatTime(0), "1970-01-01T00:00:00.000000000Z");
}

TEST(TimeTextTest, ATimeThatCannotBeKeptIsStillCalledATime) {
  for (const char* text : {"1969-12-31T23:59:59Z", "0001-01-01", "-100000d"}) {
    EXPECT_THAT(std::string(ParseTime(text, kAfternoon).status().message()),
                HasSubstr("\" is before 1970"))
        << text;
  }
  for (const char* text : {"2262-12-31", "9999-12-31"}) {
    EXPECT_THAT(std::string(ParseTime(text, kAfternoon).status().message()),
                HasSubstr("\" is after 2261"))
        << text;
  }
}

TEST(TimeTextTest, PrintedTimesAreReadBackExactly) {
  for (const uint64_t time :
       {uint64_t{0}, uint64_t{1}, kAfternoon, kAfternoon + 999'999'999, 951'782'400 * kSecond}) {
    EXPECT_EQ(Parsed(FormatTime(time)), time);
  }
}

TEST(TimeTextTest, TimesWithoutZoneAreUtc) {
  for (const char* text : {"2026-03-01T14:30", "2026-03-01 14:30", "2026-03-01T14:30:00",
                           "2026-03-01 14:30:00.000", "2026-03-01T14:30:00,0", "2026-03-01t14:30z",
                           "2026-03-01 14:30 UTC", "2026-03-01 14:30 GMT", " 2026-03-01 14:30 "}) {
    EXPECT_EQ(Parsed(text), kAfternoon) << text;
  }
}

TEST(TimeTextTest, ZonesAreTakenIntoAccount) {
  for (const char* text :
       {"2026-03-01T16:30+02:00", "2026-03-01T16:30:00+0200", "2026-03-01T16:30+02",
        "2026-03-01 16:30:00 +02:00", "2026-03-01T09:00:00-05:30", "2026-03-02T00:30+10"}) {
    EXPECT_EQ(Parsed(text), kAfternoon) << text;
  }
}

TEST(TimeTextTest, ADateIsItsFirstMoment) {
  EXPECT_EQ(FormatTime(Parsed("2026-03-01")), "2026-03-01T00:00:00.000000000Z");
  EXPECT_EQ(FormatTime(Parsed("2024-02-29")), "2024-02-29T00:00:00.000000000Z");
}

TEST(TimeTextTest, FractionsKeepNineDigits) {
  EXPECT_EQ(Parsed("2026-03-01T14:30:00.5Z"), kAfternoon + kSecond / 2);
  EXPECT_EQ(Parsed("2026-03-01T14:30:00.123456789123Z"), kAfternoon + 123'456'789);
}

TEST(TimeTextTest, RelativeTimesCountBackFromNow) {
  EXPECT_EQ(Parsed("now"), kNow);
  EXPECT_EQ(Parsed("-2h"), kAfternoon);
  EXPECT_EQ(Parsed("-1h60m"), kAfternoon);
  EXPECT_EQ(Parsed("-7d"), kNow - 7 * uint64_t{86'400} * kSecond);
}

TEST(TimeTextTest, WhatIsNotATimeIsRefusedWithAnExample) {
  for (const char* text : {"",
                           "yesterday",
                           "2026",
                           "2026-3-1",
                           "2026-02-30",
                           "2025-02-29",
                           "2026-13-01",
                           "2026-03-01T",
                           "2026-03-01T14",
                           "2026-03-01T24:00",
                           "2026-03-01T14:60",
                           "2026-03-01T14:30:61",
                           "2026-03-01T14:30:00.",
                           "2026-03-01T14:30Q",
                           "2026-03-01T14:30+2",
                           "2026-03-01T14:30+02:0",
                           "2026-03-01T14:30ZZ",
                           "-2",
                           "-h",
                           "2h",
                           "+2h",
                           "--2h",
                           "-99999999d",
                           "-99999999999999999999d",
                           "14:30",
                           "01.03.2026"}) {
    const auto time = ParseTime(text, kNow);
    ASSERT_FALSE(time.ok()) << text;
    EXPECT_THAT(std::string(time.status().message()), HasSubstr("2026-03-01T14:30:00Z")) << text;
    EXPECT_THAT(std::string(time.status().message()), Not(HasSubstr("\n"))) << text;
  }
}

TEST(TimeTextTest, DurationsAddUp) {
  EXPECT_EQ(ParseDuration("15m").value_or(0), 900 * kSecond);
  EXPECT_EQ(ParseDuration("1h30m").value_or(0), 5400 * kSecond);
  EXPECT_EQ(ParseDuration("90d").value_or(0), 90 * uint64_t{86'400} * kSecond);
  EXPECT_EQ(ParseDuration("2w").value_or(0), 14 * uint64_t{86'400} * kSecond);
  EXPECT_EQ(ParseDuration("250ms").value_or(0), kSecond / 4);
  EXPECT_EQ(ParseDuration("0s").value_or(1), 0u);
}

TEST(TimeTextTest, DurationsWithoutUnitOrTooLongAreRefused) {
  for (const char* text : {"", "15", "m", "15 m", "-15m", "15x", "1.5h", "15m30", "200000d",
                           "99999999999999999999s"}) {
    const auto duration = ParseDuration(text);
    ASSERT_FALSE(duration.ok()) << text;
    EXPECT_THAT(std::string(duration.status().message()), HasSubstr("15m, 1h30m")) << text;
  }
}

TEST(TimeTextTest, DurationsAreShownInTheirTwoLargestUnits) {
  EXPECT_EQ(FormatDuration(0), "0s");
  EXPECT_EQ(FormatDuration(999'999), "0s");
  EXPECT_EQ(FormatDuration(kSecond - 1), "999ms");
  EXPECT_EQ(FormatDuration(kSecond / 2), "500ms");
  EXPECT_EQ(FormatDuration(kSecond), "1s");
  EXPECT_EQ(FormatDuration(90 * kSecond), "1m30s");
  EXPECT_EQ(FormatDuration(7200 * kSecond), "2h");
  EXPECT_EQ(FormatDuration(90'061 * kSecond), "1d1h");
  EXPECT_EQ(FormatDuration(86'401 * kSecond), "1d");
}

TEST(TimeTextTest, LocalTimesFollowTheEnvironment) {
  // Before the first use of the local zone, which is read once a process.
  setenv("TZ", "/usr/share/zoneinfo/Etc/GMT-3", /*overwrite=*/1);
  EXPECT_EQ(FormatShortTime(kAfternoon, Zone::kUtc), "2026-03-01 14:30:00");
  EXPECT_EQ(ZoneName(Zone::kUtc, kAfternoon), "UTC");
  EXPECT_EQ(FormatShortTime(kAfternoon, Zone::kLocal), "2026-03-01 17:30:00");
  EXPECT_EQ(ZoneName(Zone::kLocal, kAfternoon), "+03");
}

TEST(TimeTextTest, TheLatestTimeThatIsPrintedHasItsNanoseconds) {
  EXPECT_EQ(FormatTime(std::numeric_limits<uint64_t>::max()), "2554-07-21T23:34:33.709551615Z");
}

}  // namespace
}  // namespace postern
