// SPDX-License-Identifier: Apache-2.0
// Runs the command line inside the test, in a folder of its own.
#ifndef POSTERN_TESTS_UNIT_CLI_FIXTURE_H_
#define POSTERN_TESTS_UNIT_CLI_FIXTURE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/unique_fd.h"
#include "gtest/gtest.h"

namespace postern::cli {

// 2026-03-01T14:30:00Z
inline constexpr uint64_t kAfternoon = 1'772'375'400'000'000'000;
inline constexpr uint64_t kSecond = 1'000'000'000;

class CliTest : public ::testing::Test {
 protected:
  struct Result {
    int code = -1;
    std::string out;
    std::string err;
  };

  CliTest();
  ~CliTest() override;

  // The arguments after "postern".
  Result Postern(const std::vector<std::string>& arguments);

  // As Ctrl-C does, before or while a command runs.
  void Interrupt();

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Socket(const std::string& name) const { return "unix:" + Path(name); }

  // Columns of the terminal; nullopt: the output is none.
  std::optional<size_t> width_;
  uint64_t now_ = kAfternoon;

 private:
  std::string folder_;
  UniqueFd interrupt_read_;
  UniqueFd interrupt_write_;
};

}  // namespace postern::cli

#endif  // POSTERN_TESTS_UNIT_CLI_FIXTURE_H_
