// SPDX-License-Identifier: Apache-2.0
// A std::mutex that clang's -Wthread-safety knows. For classes whose tests run
// under the thread sanitizer: the distribution's absl::Mutex was built without
// it, and so every access that it guards is reported as a race.
#ifndef POSTERN_COMMON_MUTEX_H_
#define POSTERN_COMMON_MUTEX_H_

#include <mutex>

#include "absl/base/thread_annotations.h"

namespace postern {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  // Named so that std::condition_variable_any can wait with it.
  void lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace postern

#endif  // POSTERN_COMMON_MUTEX_H_
