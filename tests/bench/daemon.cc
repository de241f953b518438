// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status.h"

namespace postern::bench {
namespace {

constexpr absl::Duration kPollEvery = absl::Milliseconds(5);
constexpr absl::Duration kStopPatience = absl::Seconds(10);
// Of its last words.
constexpr size_t kWords = 600;

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const Arguments& arguments,
                                                      const std::string& log,
                                                      const std::string& notify, int netns_fd) {
  std::unique_ptr<Daemon> daemon(new Daemon(arguments.front(), log, notify));
  daemon->notify_fd_.reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (notify.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(notify, ": too long for a socket"));
  }
  memcpy(address.sun_path, notify.data(), notify.size());
  unlink(notify.c_str());
  if (bind(daemon->notify_fd_.get(), reinterpret_cast<const sockaddr*>(&address),
           sizeof(address)) != 0) {
    return ErrnoStatus(errno, notify);
  }
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  daemon->pid_ = fork();
  if (daemon->pid_ < 0) return ErrnoStatus(errno, "cannot fork");
  if (daemon->pid_ == 0) {
    // It is not to outlive a bench that was killed.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    setenv("NOTIFY_SOCKET", notify.c_str(), /*overwrite=*/1);
    if (netns_fd < 0 || setns(netns_fd, CLONE_NEWNET) == 0) execv(argv[0], argv.data());
    dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
  }
  return daemon;
}

Daemon::~Daemon() { Stop(); }

bool Daemon::Ended() {
  if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ < 0;
}

absl::Status Daemon::Failure(const std::string& what) const {
  std::ifstream file(log_);
  std::stringstream text;
  text << file.rdbuf();
  std::string words = text.str();
  if (words.size() > kWords) words.erase(0, words.size() - kWords);
  return absl::UnavailableError(
      absl::StrCat(name_, " ", what, ": ", absl::StripAsciiWhitespace(words)));
}

absl::Status Daemon::WaitUntilReady(absl::Duration patience) {
  return WaitUntil(
      [this] {
        std::array<char, 4096> message;
        const ssize_t bytes = recv(notify_fd_.get(), message.data(), message.size(), MSG_DONTWAIT);
        return bytes > 0 &&
               absl::StrContains(absl::string_view(message.data(), static_cast<size_t>(bytes)),
                                 "READY=1");
      },
      patience);
}

absl::Status Daemon::WaitUntil(const std::function<bool()>& condition, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (!condition()) {
    if (Ended()) return Failure("ended");
    if (absl::Now() > deadline) return Failure("is not ready in time");
    absl::SleepFor(kPollEvery);
  }
  return absl::OkStatus();
}

void Daemon::Stop() {
  if (pid_ < 0) return;
  kill(pid_, SIGTERM);
  const absl::Time deadline = absl::Now() + kStopPatience;
  while (!Ended()) {
    if (absl::Now() > deadline) kill(pid_, SIGKILL);
    absl::SleepFor(kPollEvery);
  }
  unlink(notify_.c_str());
}

}  // namespace postern::bench
