// SPDX-License-Identifier: Apache-2.0
#include "common/metrics/text.h"

#include <gtest/gtest.h>

#include "absl/time/time.h"

namespace postern::metrics {
namespace {

TEST(MetricsTextTest, IsWhatPrometheusReads) {
  const std::vector<Family> families = {
      {"postern_events_total",
       "Events.",
       Type::kCounter,
       {Value(uint64_t{7}, {{"kind", "a"}}), Value(uint64_t{0}, {{"kind", "b"}})}},
      {"postern_started_timestamp_seconds",
       "When.",
       Type::kGauge,
       {Value(absl::FromUnixSeconds(1'767'225'600) + absl::Milliseconds(500))}},
      {"postern_up", "Whether.", Type::kGauge, {Flag(true)}}};
  EXPECT_EQ(ToText(families),
            "# HELP postern_events_total Events.\n"
            "# TYPE postern_events_total counter\n"
            "postern_events_total{kind=\"a\"} 7\n"
            "postern_events_total{kind=\"b\"} 0\n"
            "# HELP postern_started_timestamp_seconds When.\n"
            "# TYPE postern_started_timestamp_seconds gauge\n"
            "postern_started_timestamp_seconds 1767225600.5\n"
            "# HELP postern_up Whether.\n"
            "# TYPE postern_up gauge\n"
            "postern_up 1\n");
}

TEST(MetricsTextTest, HistogramEndsWithTheBucketOfAll) {
  Sample sample;
  sample.distribution = Distribution{.buckets = {{0.5, 2}}, .count = 3, .sum = 9.25};
  EXPECT_EQ(ToText({{"postern_took_seconds", "How long.", Type::kHistogram, {sample}}}),
            "# HELP postern_took_seconds How long.\n"
            "# TYPE postern_took_seconds histogram\n"
            "postern_took_seconds_count 3\n"
            "postern_took_seconds_sum 9.25\n"
            "postern_took_seconds_bucket{le=\"0.5\"} 2\n"
            "postern_took_seconds_bucket{le=\"+Inf\"} 3\n");
}

TEST(MetricsTextTest, WhatIsNotKnownIsNotThere) {
  EXPECT_EQ(ToText({{"postern_unknown", "Not known.", Type::kGauge, {}}}), "");
}

TEST(MetricsTextTest, NoLabelBreaksTheText) {
  EXPECT_EQ(ToText({{"x", "X.", Type::kGauge, {Flag(true, {{"rule", "a\"b\\c\nd\xff\xc3\xa9"}})}}}),
            "# HELP x X.\n# TYPE x gauge\nx{rule=\"a\\\"b\\\\c\\nd\\\\xff\xc3\xa9\"} 1\n");
}

}  // namespace
}  // namespace postern::metrics
