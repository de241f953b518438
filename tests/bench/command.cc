// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/command.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::bench {

absl::StatusOr<Finished> RunToEnd(const Arguments& arguments, int netns_fd) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, "cannot fork");
  if (pid == 0) {
    dup2(write_end.get(), STDOUT_FILENO);
    dup2(write_end.get(), STDERR_FILENO);
    if (netns_fd < 0 || setns(netns_fd, CLONE_NEWNET) == 0) execvp(argv[0], argv.data());
    _exit(127);
  }
  write_end.reset();
  Finished finished;
  std::array<char, 4096> buffer;
  ssize_t bytes = 0;
  while ((bytes = read(read_end.get(), buffer.data(), buffer.size())) > 0) {
    finished.output.append(buffer.data(), static_cast<size_t>(bytes));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  finished.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return finished;
}

absl::StatusOr<std::string> RunChecked(const Arguments& arguments, int netns_fd) {
  ASSIGN_OR_RETURN(Finished finished, RunToEnd(arguments, netns_fd));
  if (finished.exit_code != 0) {
    const absl::string_view said = absl::StripAsciiWhitespace(finished.output);
    return absl::FailedPreconditionError(absl::StrCat(
        absl::StrJoin(arguments, " "), ": ", finished.exit_code == 127 ? "not installed" : said));
  }
  return std::move(finished.output);
}

}  // namespace postern::bench
