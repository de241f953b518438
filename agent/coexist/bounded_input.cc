// SPDX-License-Identifier: Apache-2.0
#include "agent/coexist/bounded_input.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/steady_clock.h"
#include "common/unique_fd.h"

namespace postern::coexist {
namespace {

constexpr size_t kPiece = 16384;
// How often a program that is silent is looked at.
constexpr absl::Duration kLook = absl::Milliseconds(100);

absl::Status Read(const std::string& path, const Bounds& bounds, bool from_the_end,
                  const OnLine& on_line) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return ErrnoStatus(errno, path);
  struct stat about = {};
  if (fstat(fd.get(), &about) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(about.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is no regular file"));
  }
  // Files of /proc have no size, and end where they end.
  const size_t size = static_cast<size_t>(about.st_size);
  off_t at = 0;
  bool whole_line = true;
  if (from_the_end && size > bounds.bytes) {
    at = static_cast<off_t>(size - bounds.bytes);
    whole_line = false;
  }
  const OnLine all_but_a_cut_one = [&](absl::string_view line) {
    if (whole_line) on_line(line);
    whole_line = true;
  };
  LineSplitter lines(all_but_a_cut_one);
  size_t left = bounds.bytes;
  std::array<char, kPiece> piece;
  while (left > 0) {
    const ssize_t got = pread(fd.get(), piece.data(), std::min(left, piece.size()), at);
    if (got < 0) return ErrnoStatus(errno, path);
    if (got == 0) break;
    lines.Add(absl::string_view(piece.data(), static_cast<size_t>(got)));
    left -= static_cast<size_t>(got);
    at += got;
  }
  lines.Finish();
  if (left == 0 && !from_the_end && pread(fd.get(), piece.data(), 1, at) == 1) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, " is looked at up to its byte ", bounds.bytes));
  }
  return absl::OkStatus();
}

// A process of ours until its end.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { Kill(); }

  void Kill() {
    if (pid_ < 0) return;
    // With all that it started: it leads a group.
    kill(-pid_, SIGKILL);
    Wait();
  }
  // Its exit code; 128 + signal where one ended it.
  int Wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

// posix_spawn: this process has threads. Returns an errno.
int Spawn(const std::vector<std::string>& command, int output, pid_t* pid) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char locale[] = "LC_ALL=C";
  std::array<char*, 3> environment = {path, locale, nullptr};

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // The agent blocks the signals that it waits for, and ignores SIGPIPE.
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const int error =
      posix_spawn(pid, arguments[0], &files, &attributes, arguments.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error;
}

}  // namespace

void LineSplitter::Add(absl::string_view piece) {
  while (!piece.empty()) {
    const size_t end = piece.find('\n');
    const absl::string_view part = piece.substr(0, end);
    absl::StrAppend(&line_, part.substr(0, kMaxLine - std::min(kMaxLine, line_.size())));
    pending_ = true;
    if (end == absl::string_view::npos) return;
    Finish();
    piece.remove_prefix(end + 1);
  }
}

void LineSplitter::Finish() {
  if (pending_) on_line_(line_);
  line_.clear();
  pending_ = false;
}

absl::Status ReadLines(const std::string& path, const Bounds& bounds, const OnLine& on_line) {
  return Read(path, bounds, /*from_the_end=*/false, on_line);
}

absl::Status ReadLastLines(const std::string& path, const Bounds& bounds, const OnLine& on_line) {
  return Read(path, bounds, /*from_the_end=*/true, on_line);
}

absl::Status RunLines(const std::vector<std::string>& command, const Bounds& bounds,
                      const OnLine& on_line) {
  const std::string& name = command[0];
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "making a pipe");
  const UniqueFd output(ends[0]);
  UniqueFd input(ends[1]);
  pid_t pid = -1;
  if (const int error = Spawn(command, input.get(), &pid); error != 0) {
    return ErrnoStatus(error, name);
  }
  Child child(pid);
  input.reset();

  const absl::Time deadline = SteadyNow() + bounds.time;
  LineSplitter lines(on_line);
  size_t left = bounds.bytes;
  std::array<char, kPiece> piece;
  while (true) {
    if (bounds.stop != nullptr && *bounds.stop) return absl::CancelledError(name);
    if (SteadyNow() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(name, " did not end within ", absl::FormatDuration(bounds.time)));
    }
    pollfd readable = {.fd = output.get(), .events = POLLIN, .revents = 0};
    if (poll(&readable, 1, static_cast<int>(absl::ToInt64Milliseconds(kLook))) <= 0) continue;
    const ssize_t got = read(output.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, name);
    if (got == 0) break;
    const size_t bytes = static_cast<size_t>(got);
    lines.Add(absl::string_view(piece.data(), std::min(bytes, left)));
    if (bytes > left) {
      return absl::ResourceExhaustedError(
          absl::StrCat(name, " printed more than ", bounds.bytes, " bytes"));
    }
    left -= bytes;
  }
  lines.Finish();
  // It has closed its output; that it ends is another thing.
  while (true) {
    siginfo_t about = {};
    if (waitid(P_PID, static_cast<id_t>(pid), &about, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        about.si_pid == pid) {
      break;
    }
    if ((bounds.stop != nullptr && *bounds.stop) || SteadyNow() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(name, " did not end within ", absl::FormatDuration(bounds.time)));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  const int code = child.Wait();
  if (code == 0) return absl::OkStatus();
  return absl::UnknownError(absl::StrCat(name, " ended with ", code));
}

}  // namespace postern::coexist
