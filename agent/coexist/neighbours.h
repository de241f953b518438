// SPDX-License-Identifier: Apache-2.0
// Keeps what LookAround() found, and looks again when asked: on a thread of its own,
// since a listing may take seconds. Every method may be called from any thread, and
// none of them waits for a look.
#ifndef POSTERN_AGENT_COEXIST_NEIGHBOURS_H_
#define POSTERN_AGENT_COEXIST_NEIGHBOURS_H_

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "agent/coexist/look_around.h"
#include "common/mutex.h"

namespace postern::coexist {

class Neighbours {
 public:
  using LookFunction =
      std::function<std::vector<std::string>(const Subject&, const std::atomic<bool>& stop)>;

  explicit Neighbours(LookFunction look = LookAround);
  // Ends a look that goes on.
  ~Neighbours();
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;

  // Looks soon, for `subject` from now on.
  void Look(Subject subject) ABSL_LOCKS_EXCLUDED(mutex_);
  // Looks soon, unless what is known is younger than a minute.
  void Refresh() ABSL_LOCKS_EXCLUDED(mutex_);

  // As the last look found it. The log had each line when it was new.
  std::vector<std::string> Notes() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  const LookFunction look_;
  std::atomic<bool> stop_ = false;
  mutable Mutex mutex_;
  Subject subject_ ABSL_GUARDED_BY(mutex_);
  bool wanted_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time looked_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::vector<std::string> notes_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace postern::coexist

#endif  // POSTERN_AGENT_COEXIST_NEIGHBOURS_H_
