// SPDX-License-Identifier: Apache-2.0
// Runs the attack programs and reads the line each attempt prints.
#ifndef POSTERN_TESTS_KERNEL_COMMAND_H_
#define POSTERN_TESTS_KERNEL_COMMAND_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace postern::testing {

// One line of `key=value` words.
using Report = std::map<std::string, std::string>;

// An attack under way; it goes with this.
class Command {
 public:
  explicit Command(std::vector<std::string> argv);

  pid_t pid() const { return process_->pid(); }
  // The next line of its output; empty at the end.
  Report ReadReport();
  void WriteLine(const std::string& line);
  // Everything it still prints, until it ends; fails the test if it ends badly.
  std::vector<Report> Finish();

 private:
  std::unique_ptr<support::Process> process_;
};

// Starts it, waits for its end, returns what it reported.
std::vector<Report> RunToEnd(std::vector<std::string> argv);

// Path of a program of tests/support/attacks.
std::string Attack(const std::string& name);

}  // namespace postern::testing

#endif  // POSTERN_TESTS_KERNEL_COMMAND_H_
