// SPDX-License-Identifier: Apache-2.0
// A mutex that clang's thread-safety analysis and the thread sanitizer both
// understand. The distribution's absl::Mutex is compiled without the sanitizer,
// which then takes everything it guards for a race; std::mutex has no
// annotations.
#ifndef POSTERN_COMMON_MUTEX_H_
#define POSTERN_COMMON_MUTEX_H_

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"

namespace postern {

class ABSL_LOCKABLE Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

  // Lets go of the mutex until NotifyAll() or for at most `duration`, by a clock that
  // nobody sets, again and again until `condition` holds; whether it does. `condition`
  // is called with it held.
  template <typename Condition>
  bool AwaitFor(std::chrono::nanoseconds duration, const Condition& condition)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this) {
    std::unique_lock<std::mutex> held(mutex_, std::adopt_lock);
    const bool holds = changed_.wait_for(held, duration, condition);
    held.release();
    return holds;
  }
  // After a change that somebody may await.
  void NotifyAll() { changed_.notify_all(); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

}  // namespace postern

#endif  // POSTERN_COMMON_MUTEX_H_
