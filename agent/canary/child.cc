// SPDX-License-Identifier: Apache-2.0
#include "agent/canary/child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::canary {
namespace {

constexpr uid_t kNobody = 65534;
// What a killed process takes to go: less than a second.
constexpr int kStepMs = 10;
constexpr int kSteps = 100;
// Files that a kernel without close_range(2) (before 5.9) closes one by one.
constexpr int kFilesWithoutCloseRange = 65536;

struct Place {
  sockaddr_storage address;
  socklen_t bytes;
};
using Places = std::array<Place, kWays.size()>;

Places PlacesOf(uint16_t port) {
  Places places = {};
  for (size_t i = 0; i < kWays.size(); ++i) {
    if (kWays[i].mapped) {
      auto* to = reinterpret_cast<sockaddr_in6*>(&places[i].address);
      to->sin6_family = AF_INET6;
      to->sin6_port = htons(port);
      to->sin6_addr.s6_addr[10] = to->sin6_addr.s6_addr[11] = 0xff;
      inet_pton(AF_INET, kWays[i].address, &to->sin6_addr.s6_addr[12]);
      places[i].bytes = sizeof(*to);
    } else {
      auto* to = reinterpret_cast<sockaddr_in*>(&places[i].address);
      to->sin_family = AF_INET;
      to->sin_port = htons(port);
      inet_pton(AF_INET, kWays[i].address, &to->sin_addr);
      places[i].bytes = sizeof(*to);
    }
  }
  return places;
}

// ---- In the child. The agent has threads, and any of them may have held any lock
// when it was forked: nothing from here on but system calls, and those not by way of
// a library that would tell other threads of them (setuid).

// Locks, sockets and pins of the agent end with the agent, not with its child.
void LeaveFiles(int first_kept, int second_kept) {
  const int low = first_kept < second_kept ? first_kept : second_kept;
  const int high = first_kept < second_kept ? second_kept : first_kept;
  if (syscall(SYS_close_range, 0, low - 1, 0) == 0 || low == 0) {
    if (high > low + 1) syscall(SYS_close_range, low + 1, high - 1, 0);
    syscall(SYS_close_range, high + 1, ~0U, 0);
    return;
  }
  for (int fd = 0; fd < kFilesWithoutCloseRange; ++fd) {
    if (fd != first_kept && fd != second_kept) syscall(SYS_close, fd);
  }
}

int32_t ErrorOf(long result) { return result == 0 ? 0 : errno; }

// 0, or why not.
int32_t LeaveGroups() {
  if (const int32_t error = ErrorOf(syscall(SYS_setgroups, 0, nullptr))) return error;
  return ErrorOf(syscall(SYS_setresgid, kNobody, kNobody, kNobody));
}
int32_t BecomeNobody() {
  if (const int32_t error = ErrorOf(syscall(SYS_setresuid, kNobody, kNobody, kNobody))) {
    return error;
  }
  // Others who are nobody, too, must not get at the agent's memory.
  return ErrorOf(syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0));
}

Report Connect(const Places& places) {
  Report report;
  for (size_t i = 0; i < places.size(); ++i) {
    const Place& place = places[i];
    const long fd = syscall(SYS_socket, static_cast<int>(place.address.ss_family),
                            SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      if (errno == EAFNOSUPPORT && kWays[i].mapped) {
        report.result[i] = Report::kNoSuchWay;
        continue;
      }
      return {.failed = Report::Failed::kSocket, .error = errno};
    }
    report.result[i] = ErrorOf(syscall(SYS_connect, fd, &place.address, place.bytes));
    syscall(SYS_close, fd);
  }
  return report;
}

[[noreturn]] void BeCanary(int go, int answer, const Places& places) {
  LeaveFiles(go, answer);
  syscall(SYS_prctl, PR_SET_NAME, "posternd-canary", 0, 0, 0);
  Report report;
  if (const int32_t error = LeaveGroups()) {
    report = {.failed = Report::Failed::kGroups, .error = error};
  } else if (const int32_t refused = BecomeNobody()) {
    report = {.failed = Report::Failed::kUser, .error = refused};
  } else {
    // The end of the file: the agent has changed its mind, or is gone.
    char byte;
    if (syscall(SYS_read, go, &byte, 1) != 1) syscall(SYS_exit_group, 0);
    report = Connect(places);
  }
  syscall(SYS_write, answer, &report, sizeof(report));
  syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}

// ---- In the agent again.

class ForkedChild final : public Child {
 public:
  ForkedChild(pid_t pid, UniqueFd go, UniqueFd answer)
      : pid_(pid), go_(std::move(go)), answer_(std::move(answer)) {}
  ~ForkedChild() override {
    // Its pid is its own until it is reaped.
    if (pid_ > 0 && kill(pid_, SIGKILL) == 0) Reap();
  }

  pid_t pid() const override { return pid_; }
  void Go() override {
    const char byte = 1;
    // A child that is gone is found so by Poll().
    [[maybe_unused]] const ssize_t written = write(go_.get(), &byte, 1);
  }
  absl::StatusOr<std::optional<Report>> Poll() override {
    Report report;
    const ssize_t bytes = read(answer_.get(), &report, sizeof(report));
    if (bytes == sizeof(report)) return report;
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
    return absl::UnavailableError("somebody ended it before it could report");
  }

 private:
  void Reap() {
    // Where there is no pidfd (before 5.3) poll(2) passes over it, and only waits.
    const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    pollfd gone = {.fd = process.get(), .events = POLLIN, .revents = 0};
    for (int step = 0; waitpid(pid_, nullptr, WNOHANG) == 0 && step < kSteps; ++step) {
      poll(&gone, 1, kStepMs);
    }
  }

  const pid_t pid_;
  const UniqueFd go_;
  const UniqueFd answer_;
};

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "making a pipe");
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Child>> StartChild(uint16_t port) {
  const Places places = PlacesOf(port);
  ASSIGN_OR_RETURN(auto go, MakePipe());
  ASSIGN_OR_RETURN(auto answer, MakePipe());
  if (fcntl(answer.first.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "making a pipe");
  }
  // Not fork(2): gRPC has handlers for that, which are not for us.
  const pid_t pid = _Fork();
  if (pid < 0) return ErrnoStatus(errno, "fork");
  if (pid == 0) BeCanary(go.first.get(), answer.second.get(), places);
  return std::make_unique<ForkedChild>(pid, std::move(go.second), std::move(answer.first));
}

}  // namespace postern::canary
