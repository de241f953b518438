// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cli/fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "cli/run.h"

namespace postern::cli {

CliTest::CliTest() {
  std::string pattern = ::testing::TempDir() + "postern-cli-XXXXXX";
  folder_ = mkdtemp(pattern.data());
  int ends[2] = {-1, -1};
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  interrupt_read_.reset(ends[0]);
  interrupt_write_.reset(ends[1]);
  unsetenv("POSTERN_COLLECTOR");
}

CliTest::~CliTest() { std::filesystem::remove_all(folder_); }

CliTest::Result CliTest::Postern(const std::vector<std::string>& arguments) {
  std::ostringstream out;
  std::ostringstream err;
  Console console{.out = out,
                  .err = err,
                  .width = width_,
                  .now = [this] { return now_; },
                  .take_interrupts = [this] { return UniqueFd(dup(interrupt_read_.get())); }};
  std::vector<const char*> argv = {"postern"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  Result result;
  result.code = static_cast<int>(cli::Run(static_cast<int>(argv.size()), argv.data(), console));
  result.out = out.str();
  result.err = err.str();
  return result;
}

void CliTest::Interrupt() { EXPECT_EQ(write(interrupt_write_.get(), "i", 1), 1); }

}  // namespace postern::cli
