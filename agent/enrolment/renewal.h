// SPDX-License-Identifier: Apache-2.0
// Renews the certificate that the host has enrolled for, once half of its time is
// over, on a thread of its own. Who uses it sees a new file. One that is missing or
// another's to renew it leaves alone.
#ifndef POSTERN_AGENT_ENROLMENT_RENEWAL_H_
#define POSTERN_AGENT_ENROLMENT_RENEWAL_H_

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/mutex.h"

namespace postern::enrolment {

class Renewal {
 public:
  struct Options {
    // HOST:PORT; tried in turn.
    std::vector<std::string> addresses;
    std::string state_dir;
    // The edges of the world.
    std::function<absl::Status(const std::string& address, const std::string& state_dir)> renew;
    std::function<absl::Time()> now = absl::Now;
  };

  explicit Renewal(Options options);
  // Waits for an attempt that is under way.
  ~Renewal();
  Renewal(const Renewal&) = delete;
  Renewal& operator=(const Renewal&) = delete;

  // What is wrong, with what to do about it; "" where nothing is. From any thread.
  std::string problem() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Until when nothing is to be done.
  absl::Time Turn();
  void Run();

  const Options options_;
  mutable Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::string problem_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace postern::enrolment

#endif  // POSTERN_AGENT_ENROLMENT_RENEWAL_H_
