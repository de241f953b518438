// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/command.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <utility>

namespace postern::testing {
namespace {

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

Command::Command(std::vector<std::string> argv) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) abort();
  std::vector<char*> raw;
  for (std::string& arg : argv) raw.push_back(arg.data());
  raw.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    execv(raw[0], raw.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  input_ = in[1];
  output_ = out[0];
}

Command::Command(Command&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      input_(std::exchange(other.input_, -1)),
      output_(std::exchange(other.output_, -1)),
      buffer_(std::move(other.buffer_)) {}

Command::~Command() {
  if (input_ >= 0) close(input_);
  if (output_ >= 0) close(output_);
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Report Command::ReadReport() {
  while (true) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      const std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return Parse(line);
    }
    char bytes[4096];
    const ssize_t length = read(output_, bytes, sizeof(bytes));
    if (length <= 0) return {};
    buffer_.append(bytes, static_cast<size_t>(length));
  }
}

void Command::WriteLine(const std::string& line) {
  const std::string text = line + "\n";
  EXPECT_EQ(write(input_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

void Command::CloseInput() {
  close(input_);
  input_ = -1;
}

std::vector<Report> Command::Finish() {
  if (input_ >= 0) CloseInput();
  std::vector<Report> reports;
  for (Report report = ReadReport(); !report.empty(); report = ReadReport()) {
    reports.push_back(std::move(report));
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
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
