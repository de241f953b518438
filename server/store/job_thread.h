// SPDX-License-Identifier: Apache-2.0
// The thread that writes for a store: what is queued it does in order, all of it at a
// time, and in between, now and then, what keeps the store in shape.
#ifndef POSTERN_SERVER_STORE_JOB_THREAD_H_
#define POSTERN_SERVER_STORE_JOB_THREAD_H_

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/steady_clock.h"

namespace postern::server {

// What a job that was refused is answered with.
inline absl::Status TooMuchQueued() {
  return absl::ResourceExhaustedError("the collector has too much to store; send again later");
}

// A Job has `bytes`, what it takes while it waits, and Refuse(), which lets go of that: it
// comes to the thread all the same, since all answers are given there.
template <typename Job>
class JobThread {
 public:
  // Both are called on the thread; `maintain` at its start and again after the time that
  // it answers with.
  using Run = std::function<void(std::deque<Job>)>;
  using Maintain = std::function<absl::Duration()>;

  // Beyond `max_queued_bytes` jobs are refused; one alone is always taken.
  JobThread(size_t max_queued_bytes, Run run, Maintain maintain)
      : max_queued_bytes_(max_queued_bytes),
        run_(std::move(run)),
        maintain_(std::move(maintain)),
        thread_([this] { Loop(); }) {}
  // Runs what is queued first.
  ~JobThread() {
    {
      MutexLock lock(&mutex_);
      stopping_ = true;
    }
    mutex_.NotifyAll();
    thread_.join();
  }
  JobThread(const JobThread&) = delete;
  JobThread& operator=(const JobThread&) = delete;

  // From any thread.
  void Add(Job job) {
    {
      MutexLock lock(&mutex_);
      const bool fits =
          job.bytes == 0 || queued_bytes_ == 0 || queued_bytes_ + job.bytes <= max_queued_bytes_;
      if (!fits) {
        job.Refuse();
        job.bytes = 0;
      }
      queued_bytes_ += job.bytes;
      queue_.push_back(std::move(job));
    }
    mutex_.NotifyAll();
  }

 private:
  void Loop() {
    absl::Time next_maintenance = SteadyNow();
    while (true) {
      std::deque<Job> jobs;
      bool stopped = false;
      {
        MutexLock lock(&mutex_);
        const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
          return stopping_ || !queue_.empty();
        };
        mutex_.AwaitFor(absl::ToChronoNanoseconds(
                            std::max(next_maintenance - SteadyNow(), absl::ZeroDuration())),
                        wanted);
        jobs.swap(queue_);
        queued_bytes_ = 0;
        stopped = stopping_ && jobs.empty();
      }
      if (stopped) return;
      if (!jobs.empty()) run_(std::move(jobs));
      if (SteadyNow() >= next_maintenance) next_maintenance = SteadyNow() + maintain_();
    }
  }

  const size_t max_queued_bytes_;
  const Run run_;
  const Maintain maintain_;

  Mutex mutex_;
  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // Begins when all else is there.
  std::thread thread_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_JOB_THREAD_H_
