// SPDX-License-Identifier: Apache-2.0
#include "server/store/job_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace postern::server {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::SizeIs;

struct TestJob {
  int number = 0;
  size_t bytes = 0;
  bool refused = false;
  // Where there is one the thread waits for it.
  std::shared_future<void> hold = {};

  void Refuse() { refused = true; }
};

class JobThreadTest : public testing::Test {
 protected:
  void Start(size_t max_bytes = 1000) {
    jobs_ = std::make_unique<JobThread<TestJob>>(
        max_bytes,
        [this](const std::deque<TestJob>& jobs) {
          for (const TestJob& job : jobs) {
            if (job.hold.valid()) {
              held_.set_value();
              job.hold.wait();
            }
            done_.push_back(job.number);
            if (job.refused) refused_.push_back(job.number);
          }
        },
        [this] {
          if (++maintained_ == 3) third_time_.set_value();
          return maintain_again_;
        });
  }
  // The thread is busy until Release().
  void Hold() {
    TestJob job;
    job.hold = release_.get_future().share();
    jobs_->Add(job);
    held_.get_future().wait();
  }
  void Release() { release_.set_value(); }
  // What is queued is done: what the thread wrote can be read.
  void Stop() { jobs_.reset(); }

  std::promise<void> held_;
  std::promise<void> release_;
  // The thread's alone, until Stop().
  std::vector<int> done_;
  std::vector<int> refused_;
  int maintained_ = 0;
  std::promise<void> third_time_;
  absl::Duration maintain_again_ = absl::Hours(1);
  std::unique_ptr<JobThread<TestJob>> jobs_;
};

TEST_F(JobThreadTest, JobsAreDoneInOrderAndBeforeItEnds) {
  Start();
  for (int number = 1; number <= 3; ++number) jobs_->Add({number});
  Stop();
  EXPECT_THAT(done_, ElementsAre(1, 2, 3));
}

TEST_F(JobThreadTest, MoreThanItHoldsIsRefusedInItsTurn) {
  Start(/*max_bytes=*/100);
  Hold();
  jobs_->Add({1, 60});
  jobs_->Add({2, 41});
  jobs_->Add({3, 40});
  // What takes nothing is always taken.
  jobs_->Add({4, 0});
  Release();
  Stop();
  EXPECT_THAT(done_, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(refused_, ElementsAre(2));
}

TEST_F(JobThreadTest, OneAloneIsTakenHoweverLargeItIs) {
  Start(/*max_bytes=*/100);
  Hold();
  jobs_->Add({1, 101});
  jobs_->Add({2, 1});
  Release();
  Stop();
  EXPECT_THAT(refused_, ElementsAre(2));
}

TEST_F(JobThreadTest, WhatWasTakenMakesRoom) {
  Start(/*max_bytes=*/100);
  TestJob first{1, 100};
  first.hold = release_.get_future().share();
  jobs_->Add(first);
  held_.get_future().wait();
  jobs_->Add({2, 100});
  Release();
  Stop();
  EXPECT_THAT(refused_, SizeIs(0));
}

TEST_F(JobThreadTest, MaintainsAtItsStartAndAgainWhenAsked) {
  maintain_again_ = absl::Microseconds(1);
  Start();
  third_time_.get_future().wait();
  Stop();
}

TEST_F(JobThreadTest, ManyThreadsAddAndEachJobIsDoneOnce) {
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  Start(/*max_bytes=*/size_t{1} << 20);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([this, thread] {
      for (int i = 0; i < kEach; ++i) jobs_->Add({thread, 1});
    });
  }
  for (std::thread& thread : threads) thread.join();
  Stop();
  std::vector<int> counts(kThreads);
  for (const int thread : done_) ++counts[static_cast<size_t>(thread)];
  EXPECT_THAT(counts, Each(kEach));
  EXPECT_THAT(refused_, SizeIs(0));
}

}  // namespace
}  // namespace postern::server
