// SPDX-License-Identifier: Apache-2.0
// Programs that tests and benches start and read. What they print goes to memory
// (memfd_create(2)), so that no daemon that inherited a pipe can hold a test up.
// One thread. No GoogleTest: benches use it too.
#ifndef POSTERN_TESTS_SUPPORT_PROCESS_H_
#define POSTERN_TESTS_SUPPORT_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/unique_fd.h"
#include "tests/support/eventually.h"

namespace postern::support {

class Process {
 public:
  struct Options {
    std::map<std::string, std::string> environment = {};  // beside ours
    std::optional<uid_t> uid = std::nullopt;              // with the group of the same passwd entry
    int network_namespace = -1;                           // -1: ours
    bool look_up = true;  // the program in PATH; else its name is a path
    bool input = false;   // a pipe that SendInput writes and CloseInput ends; else /dev/null
    bool notify = false;  // an sd_notify(3) socket for WaitReady
  };

  // A program that cannot be run has ended, with 127, and Error() says why.
  static std::unique_ptr<Process> Start(std::vector<std::string> command, const Options& options);
  static std::unique_ptr<Process> Start(std::vector<std::string> command) {
    return Start(std::move(command), Options());
  }
  // Terminates it, kills it and its process group when it does not heed.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool Running();
  // Its exit code, 128 + signal when killed by one; nothing when it still runs.
  std::optional<int> Wait(absl::Duration patience = kPatience);
  // Until it said READY=1, or until `condition` holds. An error with its last
  // words when it ended before, or did not in time.
  absl::Status WaitReady(absl::Duration patience = kPatience);
  absl::Status WaitUntil(const std::function<bool()>& condition,
                         absl::Duration patience = kPatience);
  void Signal(int signal) const;
  // False when it reads no more.
  bool SendInput(const std::string& text);
  void CloseInput() { input_.reset(); }

  // What it printed until now.
  std::string Output() const;
  std::string Error() const;
  // What it and the others of its process group wait for in the kernel, a line each.
  std::string Waiting() const;
  // The next line of its output, without its end; nothing after the last one of
  // a program that has ended, or when none came in time.
  std::optional<std::string> ReadLine(absl::Duration patience = kPatience);

 private:
  Process() = default;

  absl::Status Launch(std::vector<std::string> command, const Options& options);
  absl::Status Failure(const std::string& what) const;

  std::string name_;
  std::string failure_;  // why it could not be started
  std::string notify_path_;
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  UniqueFd input_;
  UniqueFd output_;
  UniqueFd error_;
  UniqueFd notify_;
  size_t read_ = 0;  // bytes of the output that ReadLine returned
  std::optional<int> exit_code_;
};

struct Finished {
  int exit_code = -1;  // 128 + the signal that ended it; -1 where it did not end in time
  std::string output;
  std::string error;  // and what it waits for, where it did not end
};
Finished RunToEnd(std::vector<std::string> command, const Process::Options& options);
inline Finished RunToEnd(std::vector<std::string> command) {
  return RunToEnd(std::move(command), Process::Options());
}

}  // namespace postern::support

#endif  // POSTERN_TESTS_SUPPORT_PROCESS_H_
