// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/backoff.h"

#include <gtest/gtest.h>

namespace postern::uplink {
namespace {

TEST(BackoffTest, EachWaitIsUpToTwiceAsLongAndNeverPastTheLongest) {
  Backoff backoff(absl::Seconds(1), absl::Seconds(8));
  for (const int step : {1, 2, 4, 8, 8, 8}) {
    const absl::Duration wait = backoff.Next();
    EXPECT_GE(wait, absl::Seconds(step) / 2);
    EXPECT_LE(wait, absl::Seconds(step));
  }
}

TEST(BackoffTest, SuccessBeginsAnew) {
  Backoff backoff(absl::Seconds(1), absl::Seconds(8));
  for (int i = 0; i < 5; ++i) backoff.Next();
  backoff.Reset();
  EXPECT_LE(backoff.Next(), absl::Seconds(1));
}

TEST(BackoffTest, TwoAgentsDoNotWaitAlike) {
  Backoff one(absl::Seconds(1), absl::Seconds(8));
  Backoff other(absl::Seconds(1), absl::Seconds(8));
  int same = 0;
  for (int i = 0; i < 20; ++i) same += one.Next() == other.Next() ? 1 : 0;
  EXPECT_LT(same, 20);
}

}  // namespace
}  // namespace postern::uplink
