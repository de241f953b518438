// SPDX-License-Identifier: Apache-2.0
#include "agent/command_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"

namespace postern::agent {
namespace {

TEST(CommandQueueTest, ACommandRunsOnTheOwnersThreadAndItsAnswerComesBack) {
  absl::Notification woken;
  CommandQueue queue([&] { woken.Notify(); });
  std::thread::id ran_on;
  std::thread caller([&] {
    const absl::StatusOr<int> answer = queue.Run<int>([&]() -> absl::StatusOr<int> {
      ran_on = std::this_thread::get_id();
      return 7;
    });
    EXPECT_TRUE(answer.ok());
    EXPECT_EQ(answer.value_or(0), 7);
  });
  ASSERT_TRUE(woken.WaitForNotificationWithTimeout(absl::Seconds(10)));
  queue.RunAll();
  caller.join();
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST(CommandQueueTest, WhoWaitsWhenItIsClosedIsToldAndNothingRuns) {
  absl::Notification woken;
  CommandQueue queue([&] { woken.Notify(); });
  std::atomic<bool> ran = false;
  std::thread caller([&] {
    const absl::StatusOr<int> answer = queue.Run<int>([&]() -> absl::StatusOr<int> {
      ran = true;
      return 7;
    });
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable);
  });
  ASSERT_TRUE(woken.WaitForNotificationWithTimeout(absl::Seconds(10)));
  queue.Close();
  queue.RunAll();
  caller.join();
  EXPECT_FALSE(ran);
  EXPECT_EQ(queue.Run<int>([]() -> absl::StatusOr<int> { return 7; }).status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace postern::agent
