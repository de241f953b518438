// SPDX-License-Identifier: Apache-2.0
// A program that keeps running in the background until it is stopped.
#ifndef POSTERN_TESTS_BENCH_DAEMON_H_
#define POSTERN_TESTS_BENCH_DAEMON_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/unique_fd.h"
#include "tests/bench/command.h"

namespace postern::bench {

class Daemon {
 public:
  // What it says goes to the file `log`. It may say READY=1 on NOTIFY_SOCKET
  // (sd_notify(3)), a socket made at `notify`. Runs in the network namespace
  // `netns_fd`, or this one for -1.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const Arguments& arguments,
                                                       const std::string& log,
                                                       const std::string& notify, int netns_fd);
  // Stops it, by force if it does not obey.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // An error with what it last said if it ends first, or is not ready in time.
  absl::Status WaitUntilReady(absl::Duration patience);
  absl::Status WaitUntil(const std::function<bool()>& condition, absl::Duration patience);

  // SIGTERM, and its exit; SIGKILL after 10 seconds.
  void Stop();

  pid_t pid() const { return pid_; }

 private:
  Daemon(std::string name, std::string log, std::string notify)
      : name_(std::move(name)), log_(std::move(log)), notify_(std::move(notify)) {}

  bool Ended();
  absl::Status Failure(const std::string& what) const;

  const std::string name_;
  const std::string log_;
  const std::string notify_;
  UniqueFd notify_fd_;
  pid_t pid_ = -1;
};

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_DAEMON_H_
