// SPDX-License-Identifier: Apache-2.0
// Who wakes the agent, and when.
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/steady_clock.h"
#include "common/unique_fd.h"
#include "tests/kernel/kernel_test.h"
#include "tests/support/eventually.h"

namespace postern::testing {
namespace {

using ::testing::ElementsAre;

class WakeTest : public KernelTest {
 protected:
  WakeTest() : KernelTest(SensorOf::kSuite) {}

  // False where nothing ended the wait.
  bool WokenWithin(absl::Duration patience) {
    const absl::Time begun = SteadyNow();
    sensor_->Wait(patience);
    return SteadyNow() - begun < patience;
  }

  // Takes all that is there, so that the reader has nothing to do but to sleep.
  void FallAsleep() {
    ASSERT_TRUE(support::Eventually([&] {
      ReadEvents();
      return sensor_->WakeOnNextRecord();
    }));
    // What ended a wait before this one.
    sensor_->Wait(absl::ZeroDuration());
  }

  static constexpr absl::Duration kNoWake = absl::Milliseconds(50);
};

TEST_F(WakeTest, ADenialWakesTheReader) {
  Enforce({});
  FallAsleep();
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("EPERM"));
  EXPECT_TRUE(WokenWithin(support::kPatience));
}

TEST_F(WakeTest, OfWhatIsAllowedTheFirstAloneWakesASleepingReader) {
  Enforce({AllowAll()});
  FallAsleep();
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("OK"));
  EXPECT_TRUE(WokenWithin(support::kPatience));
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("OK"));
  EXPECT_FALSE(WokenWithin(kNoWake)) << "a wake-up for each record";
  EXPECT_FALSE(sensor_->WakeOnNextRecord()) << "there are two that were not read";
  EXPECT_EQ(Attempts(), 2u);
}

TEST_F(WakeTest, AReaderThatDoesNotSleepIsNotWokenByWhatIsAllowed) {
  Enforce({AllowAll()});
  FallAsleep();
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("OK"));
  EXPECT_TRUE(WokenWithin(support::kPatience));
  ReadEvents();
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("OK"));
  EXPECT_FALSE(WokenWithin(kNoWake));
  EXPECT_EQ(Attempts(), 2u);
}

// Whenever it falls asleep, a record is either seen before or wakes it.
TEST_F(WakeTest, NoRecordFallsBetweenLookingAndSleeping) {
  constexpr size_t kRounds = 50;
  Enforce({AllowAll()});
  for (size_t round = 1; round <= kRounds; ++round) {
    Command connect(ConnectLine({"--uid=33"}));
    while (Attempts() < round) {
      if (sensor_->WakeOnNextRecord()) {
        ASSERT_TRUE(WokenWithin(support::kPatience)) << "in round " << round;
      }
    }
    connect.Finish();
  }
}

TEST_F(WakeTest, WhatBecomesReadableWakesTheReader) {
  Enforce({AllowAll()});
  const UniqueFd news(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  ASSERT_TRUE(sensor_->WakeBy(news.get()).ok());
  FallAsleep();
  EXPECT_FALSE(WokenWithin(kNoWake));
  ASSERT_EQ(eventfd_write(news.get(), 1), 0);
  EXPECT_TRUE(WokenWithin(support::kPatience));
  EXPECT_FALSE(WokenWithin(kNoWake)) << "once is enough";
}

}  // namespace
}  // namespace postern::testing
