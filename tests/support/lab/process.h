// SPDX-License-Identifier: Apache-2.0
// Programs that a test runs. Their output goes to files, so that no daemon that
// inherited a pipe can hold a test up. One thread.
#ifndef POSTERN_TESTS_SUPPORT_LAB_PROCESS_H_
#define POSTERN_TESTS_SUPPORT_LAB_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/unique_fd.h"

namespace postern::lab {

// How long anything may take that is expected to happen. Generous: a test that
// works does not wait, and one that fails is looked at.
inline constexpr absl::Duration kPatience = absl::Seconds(20);

// Asks again and again until `condition` holds; false when it did not in time.
bool Eventually(const std::function<bool()>& condition, absl::Duration patience = kPatience);

// "" for a file that cannot be read.
std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& text, mode_t mode = 0644);

class Process {
 public:
  struct Options {
    std::map<std::string, std::string> environment = {};  // beside ours
    std::optional<uid_t> uid = std::nullopt;              // with the group of the same passwd entry
    bool input = false;   // a pipe that SendInput writes and CloseInput ends; else /dev/null
    bool notify = false;  // an sd_notify socket for WaitReady
  };

  // `output` is the path that standard output and, with .err, standard error are
  // written to. A program that cannot be run exits with 127.
  static std::unique_ptr<Process> Start(const std::vector<std::string>& command,
                                        const std::string& output, const Options& options);
  // Terminates it, kills it and its process group when it does not heed.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool Running();
  // Its exit code, 128 + signal when killed by one; nothing when it still runs.
  std::optional<int> Wait(absl::Duration patience = kPatience);
  // True once it said READY=1; false when it exited or did not in time.
  bool WaitReady(absl::Duration patience = kPatience);
  void Signal(int signal) const;
  void SendInput(const std::string& text);
  void CloseInput();

  std::string Output() const { return ReadFile(output_); }
  std::string Error() const { return ReadFile(output_ + ".err"); }

 private:
  Process() = default;

  pid_t pid_ = -1;
  UniqueFd pidfd_;
  UniqueFd input_;
  UniqueFd notify_;
  std::string output_;
  std::string notify_path_;
  std::optional<int> exit_code_;
};

}  // namespace postern::lab

#endif  // POSTERN_TESTS_SUPPORT_LAB_PROCESS_H_
