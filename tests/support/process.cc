// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status.h"

namespace postern::support {
namespace {

constexpr absl::Duration kStopPatience = absl::Seconds(10);
// Of its last words.
constexpr size_t kWords = 600;

// With its path. Not an abstract one: those end at the network namespace.
absl::StatusOr<std::pair<UniqueFd, std::string>> BindNotifySocket() {
  static int serial = 0;
  const std::string path = std::filesystem::temp_directory_path() /
                           absl::StrCat("postern-notify-", getpid(), "-", serial++);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": too long for a socket"));
  }
  path.copy(address.sun_path, path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  unlink(path.c_str());
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(errno, path);
  }
  return std::pair(std::move(fd), path);
}

gid_t GroupOf(uid_t uid) {
  const passwd* entry = getpwuid(uid);
  return entry != nullptr ? entry->pw_gid : uid;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// "" where it is gone or not ours to read.
std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string ReadFrom(const UniqueFd& file, size_t offset) {
  std::string text;
  std::array<char, 16384> chunk;
  ssize_t bytes = 0;
  while ((bytes = pread(file.get(), chunk.data(), chunk.size(),
                        static_cast<off_t>(offset + text.size()))) > 0) {
    text.append(chunk.data(), static_cast<size_t>(bytes));
  }
  return text;
}

}  // namespace

std::unique_ptr<Process> Process::Start(std::vector<std::string> command, const Options& options) {
  auto process = std::unique_ptr<Process>(new Process());
  process->name_ = command.front();
  if (const absl::Status launched = process->Launch(std::move(command), options); !launched.ok()) {
    process->exit_code_ = 127;
    process->failure_ = absl::StrCat("cannot start ", process->name_, ": ", launched.ToString());
  }
  return process;
}

absl::Status Process::Launch(std::vector<std::string> command, const Options& options) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!absl::StartsWith(*variable, "NOTIFY_SOCKET=")) variables.emplace_back(*variable);
  }
  for (const auto& [name, value] : options.environment) {
    variables.push_back(absl::StrCat(name, "=", value));
  }
  if (options.notify) {
    ASSIGN_OR_RETURN(auto bound, BindNotifySocket());
    notify_ = std::move(bound.first);
    notify_path_ = bound.second;
    variables.push_back("NOTIFY_SOCKET=" + notify_path_);
  }
  UniqueFd input;
  if (options.input) {
    std::array<int, 2> ends = {-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe2");
    input.reset(ends[0]);
    input_.reset(ends[1]);
  } else {
    input.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  output_.reset(memfd_create("output", MFD_CLOEXEC));
  error_.reset(memfd_create("error", MFD_CLOEXEC));
  if (!output_.valid() || !error_.valid()) return ErrnoStatus(errno, "memfd_create");
  const gid_t gid = options.uid.has_value() ? GroupOf(*options.uid) : 0;
  const std::vector<char*> arguments = Pointers(command);
  const std::vector<char*> environment = Pointers(variables);

  pid_ = fork();
  if (pid_ < 0) return ErrnoStatus(errno, "fork");
  if (pid_ == 0) {
    // System calls only, until exec.
    setpgid(0, 0);
    dup2(input.get(), STDIN_FILENO);
    dup2(output_.get(), STDOUT_FILENO);
    dup2(error_.get(), STDERR_FILENO);
    if ((options.network_namespace < 0 || setns(options.network_namespace, CLONE_NEWNET) == 0) &&
        (!options.uid.has_value() || (setgroups(1, &gid) == 0 && setresgid(gid, gid, gid) == 0 &&
                                      setresuid(*options.uid, *options.uid, *options.uid) == 0))) {
      // It is not to outlive a test that was killed. Another uid would forget this.
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      (options.look_up ? execvpe : execve)(arguments[0], arguments.data(), environment.data());
    }
    dprintf(STDERR_FILENO, "%s: %s\n", arguments[0], strerror(errno));
    _exit(127);
  }
  pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  return absl::OkStatus();
}

Process::~Process() {
  input_.reset();
  if (Running()) {
    Signal(SIGTERM);
    Wait(kStopPatience);
  }
  if (pid_ > 0) kill(-pid_, SIGKILL);
  Wait(kStopPatience);
  if (!notify_path_.empty()) unlink(notify_path_.c_str());
}

bool Process::Running() { return !Wait(absl::ZeroDuration()).has_value(); }

std::optional<int> Process::Wait(absl::Duration patience) {
  if (exit_code_.has_value()) return exit_code_;
  const absl::Time deadline = absl::Now() + patience;
  pollfd ended = {.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    ready = poll(&ended, 1, static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX)));
  } while (ready < 0 && errno == EINTR);
  int status = 0;
  if (ready <= 0 || waitpid(pid_, &status, 0) != pid_) return std::nullopt;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_code_;
}

absl::Status Process::WaitReady(absl::Duration patience) {
  return WaitUntil(
      [this] {
        std::array<char, 4096> message;
        const ssize_t bytes = recv(notify_.get(), message.data(), message.size(), MSG_DONTWAIT);
        return bytes > 0 &&
               absl::StrContains(absl::string_view(message.data(), static_cast<size_t>(bytes)),
                                 "READY=1");
      },
      patience);
}

absl::Status Process::WaitUntil(const std::function<bool()>& condition, absl::Duration patience) {
  bool running = true;
  const bool held = Eventually(
      [&] {
        running = Running();
        return condition() || !running;
      },
      patience);
  if (!running) return Failure("ended");
  return held ? absl::OkStatus() : Failure(absl::StrCat("is not ready in time\n", Waiting()));
}

absl::Status Process::Failure(const std::string& what) const {
  std::string words = absl::StrCat(Output(), Error());
  if (words.size() > kWords) words.erase(0, words.size() - kWords);
  return absl::UnavailableError(
      absl::StrCat(name_, " ", what, ": ", absl::StripAsciiWhitespace(words)));
}

void Process::Signal(int signal) const {
  if (pid_ > 0 && !exit_code_.has_value()) kill(pid_, signal);
}

bool Process::SendInput(const std::string& text) {
  return write(input_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string Process::Output() const { return ReadFrom(output_, 0); }
std::string Process::Error() const { return absl::StrCat(failure_, ReadFrom(error_, 0)); }

std::string Process::Waiting() const {
  std::string lines;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid) || getpgid(pid) != pid_) continue;
    // proc(5): PID (NAME) STATE …, and where the kernel's stack can be read.
    const std::string stat = ReadText(entry.path() / "stat");
    absl::StrAppend(&lines, stat.substr(0, stat.rfind(')') + 3), "\n",
                    ReadText(entry.path() / "stack"));
  }
  return lines;
}

std::optional<std::string> Process::ReadLine(absl::Duration patience) {
  std::optional<std::string> line;
  Eventually(
      [&] {
        const bool running = Running();
        const std::string text = ReadFrom(output_, read_);
        const size_t end = text.find('\n');
        if (end != std::string::npos) {
          line = text.substr(0, end);
          read_ += end + 1;
        }
        return line.has_value() || !running;
      },
      patience);
  return line;
}

Finished RunToEnd(std::vector<std::string> command, const Process::Options& options) {
  const auto process = Process::Start(std::move(command), options);
  Finished finished;
  const std::optional<int> exit_code = process->Wait();
  finished.exit_code = exit_code.value_or(-1);
  finished.output = process->Output();
  finished.error = process->Error();
  if (!exit_code.has_value()) absl::StrAppend(&finished.error, "\n", process->Waiting());
  return finished;
}

}  // namespace postern::support
