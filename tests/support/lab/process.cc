// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/process.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace postern::lab {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(20);

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

UniqueFd BindNotifySocket(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  unlink(path.c_str());
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    ADD_FAILURE() << path << ": " << strerror(errno);
  }
  return fd;
}

// In the child, after fork: system calls and what they need, then exec.
[[noreturn]] void BecomeProgram(std::vector<char*>& arguments, std::vector<char*>& environment,
                                int input, int output, int error, std::optional<uid_t> uid,
                                gid_t gid) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(error, STDERR_FILENO);
  if (uid.has_value() && (setgroups(1, &gid) != 0 || setresgid(gid, gid, gid) != 0 ||
                          setresuid(*uid, *uid, *uid) != 0)) {
    _exit(126);
  }
  execvpe(arguments[0], arguments.data(), environment.data());
  dprintf(STDERR_FILENO, "%s: %s\n", arguments[0], strerror(errno));
  _exit(127);
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

bool Eventually(const std::function<bool()>& condition, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(kPollInterval);
  }
  return true;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteFile(const std::string& path, const std::string& text, mode_t mode) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  EXPECT_TRUE(file.good()) << path;
  EXPECT_EQ(chmod(path.c_str(), mode), 0) << path << ": " << strerror(errno);
}

std::unique_ptr<Process> Process::Start(const std::vector<std::string>& command,
                                        const std::string& output, const Options& options) {
  auto process = std::unique_ptr<Process>(new Process());
  process->output_ = output;
  std::vector<std::string> words = command;
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!absl::StartsWith(*variable, "NOTIFY_SOCKET=")) variables.emplace_back(*variable);
  }
  for (const auto& [name, value] : options.environment) {
    variables.push_back(absl::StrCat(name, "=", value));
  }
  if (options.notify) {
    process->notify_path_ = output + ".notify";
    process->notify_ = BindNotifySocket(process->notify_path_);
    variables.push_back("NOTIFY_SOCKET=" + process->notify_path_);
  }
  gid_t gid = 0;
  if (options.uid.has_value()) {
    const passwd* entry = getpwuid(*options.uid);
    gid = entry != nullptr ? entry->pw_gid : *options.uid;
  }
  UniqueFd input;
  if (options.input) {
    std::array<int, 2> ends = {-1, -1};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    input.reset(ends[0]);
    process->input_.reset(ends[1]);
  } else {
    input.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  const int create = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  const UniqueFd out(open(output.c_str(), create | O_TRUNC, 0644));
  const UniqueFd error(open((output + ".err").c_str(), create | O_TRUNC, 0644));
  EXPECT_TRUE(out.valid() && error.valid()) << output << ": " << strerror(errno);
  std::vector<char*> arguments = Pointers(words);
  std::vector<char*> environment = Pointers(variables);
  process->pid_ = fork();
  if (process->pid_ == 0) {
    BecomeProgram(arguments, environment, input.get(), out.get(), error.get(), options.uid, gid);
  }
  EXPECT_GT(process->pid_, 0) << "fork: " << strerror(errno);
  process->pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, process->pid_, 0)));
  return process;
}

Process::~Process() {
  input_.reset();
  if (Running()) {
    Signal(SIGTERM);
    if (!Wait(absl::Seconds(10)).has_value()) {
      ADD_FAILURE() << "process " << pid_ << " (" << output_ << ") did not heed SIGTERM";
    }
  }
  if (pid_ > 0) kill(-pid_, SIGKILL);
  Wait(absl::Seconds(10));
  if (!notify_path_.empty()) unlink(notify_path_.c_str());
}

bool Process::Running() { return !Wait(absl::ZeroDuration()).has_value(); }

std::optional<int> Process::Wait(absl::Duration patience) {
  if (exit_code_.has_value() || pid_ <= 0) return exit_code_.value_or(127);
  const absl::Time deadline = absl::Now() + patience;
  pollfd ended = {.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = poll(&ended, 1, std::max(0, Milliseconds(deadline - absl::Now())));
  } while (ready < 0 && errno == EINTR);
  int status = 0;
  if (ready <= 0 || waitpid(pid_, &status, 0) != pid_) return std::nullopt;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_code_;
}

bool Process::WaitReady(absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (absl::Now() < deadline) {
    std::array<pollfd, 2> events = {{{.fd = notify_.get(), .events = POLLIN, .revents = 0},
                                     {.fd = pidfd_.get(), .events = POLLIN, .revents = 0}}};
    poll(events.data(), events.size(), std::max(0, Milliseconds(deadline - absl::Now())));
    if ((events[0].revents & POLLIN) != 0) {
      std::array<char, 4096> text = {};
      const ssize_t bytes = recv(notify_.get(), text.data(), text.size() - 1, MSG_DONTWAIT);
      if (bytes > 0 && absl::StrContains(text.data(), "READY=1")) return true;
    } else if (events[1].revents != 0) {
      return false;
    }
  }
  return false;
}

void Process::Signal(int signal) const {
  if (pid_ > 0) kill(pid_, signal);
}

void Process::SendInput(const std::string& text) {
  EXPECT_EQ(write(input_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

void Process::CloseInput() { input_.reset(); }

}  // namespace postern::lab
