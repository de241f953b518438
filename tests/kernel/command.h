// SPDX-License-Identifier: Apache-2.0
// Runs the attack programs and reads the line each attempt prints.
#ifndef POSTERN_TESTS_KERNEL_COMMAND_H_
#define POSTERN_TESTS_KERNEL_COMMAND_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace postern::testing {

// One line of `key=value` words.
using Report = std::map<std::string, std::string>;

// A program that was started with pipes on its standard input and output. Killed
// and reaped, where it still runs, when this goes.
class Command {
 public:
  explicit Command(std::vector<std::string> argv);
  ~Command();
  Command(Command&& other) noexcept;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  pid_t pid() const { return pid_; }
  // The next line of its output; empty at the end.
  Report ReadReport();
  void WriteLine(const std::string& line);
  void CloseInput();
  // Everything it still prints, until it ends; fails the test if it ends badly.
  std::vector<Report> Finish();

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string buffer_;
};

// Starts it, waits for its end, returns what it reported.
std::vector<Report> RunToEnd(std::vector<std::string> argv);

// Path of a program of tests/support/attacks.
std::string Attack(const std::string& name);

}  // namespace postern::testing

#endif  // POSTERN_TESTS_KERNEL_COMMAND_H_
