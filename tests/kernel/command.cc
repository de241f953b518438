// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/command.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <utility>

namespace postern::testing {
namespace {

// An emulated machine takes its time.
constexpr absl::Duration kPatience = absl::Minutes(5);

Report Parse(const std::string& line) {
  Report report;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    report[word.substr(0, equals)] = equals == std::string::npos ? "" : word.substr(equals + 1);
  }
  return report;
}

}  // namespace

Command::Command(std::vector<std::string> argv)
    : process_(support::Process::Start(std::move(argv), {.look_up = false, .input = true})) {}

Report Command::ReadReport() { return Parse(process_->ReadLine(kPatience).value_or("")); }

void Command::WriteLine(const std::string& line) { EXPECT_TRUE(process_->SendInput(line + "\n")); }

std::vector<Report> Command::Finish() {
  process_->CloseInput();
  EXPECT_EQ(process_->Wait(kPatience).value_or(-1), 0) << process_->Error();
  std::vector<Report> reports;
  for (Report report = ReadReport(); !report.empty(); report = ReadReport()) {
    reports.push_back(std::move(report));
  }
  return reports;
}

std::vector<Report> RunToEnd(std::vector<std::string> argv) {
  return Command(std::move(argv)).Finish();
}

std::string Attack(const std::string& name) {
  // Beside this binary, on the machine that built it and in a VM alike.
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "attacks" / name;
}

}  // namespace postern::testing
