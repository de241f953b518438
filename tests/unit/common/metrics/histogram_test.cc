// SPDX-License-Identifier: Apache-2.0
#include "common/metrics/histogram.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace postern::metrics {
namespace {

TEST(HistogramTest, EachDurationIsInItsBucketAndAllAbove) {
  Histogram histogram({absl::Milliseconds(10), absl::Seconds(1)});
  for (const absl::Duration duration :
       {absl::Seconds(-1), absl::Milliseconds(10), absl::Milliseconds(11), absl::Hours(1)}) {
    histogram.Add(duration);
  }
  const Sample sample = histogram.Take({{"question", "find"}});
  ASSERT_EQ(sample.labels.size(), 1u);
  EXPECT_EQ(sample.labels[0].value, "find");
  ASSERT_TRUE(sample.distribution.has_value());
  ASSERT_EQ(sample.distribution->buckets.size(), 2u);
  EXPECT_DOUBLE_EQ(sample.distribution->buckets[0].up_to, 0.01);
  EXPECT_EQ(sample.distribution->buckets[0].count, 2u);
  EXPECT_EQ(sample.distribution->buckets[1].count, 3u);
  EXPECT_EQ(sample.distribution->count, 4u);
  EXPECT_DOUBLE_EQ(sample.distribution->sum, 3600.021);
}

TEST(HistogramTest, NothingIsLostBetweenThreads) {
  Histogram histogram({absl::Seconds(1)});
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10'000; ++j) histogram.Add(absl::Seconds(2));
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Sample sample = histogram.Take();
  EXPECT_EQ(sample.distribution->count, 40'000u);
  EXPECT_EQ(sample.distribution->buckets[0].count, 0u);
  EXPECT_DOUBLE_EQ(sample.distribution->sum, 80'000);
}

}  // namespace
}  // namespace postern::metrics
