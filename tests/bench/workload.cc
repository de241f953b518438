// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/workload.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::bench {
namespace {

uint64_t Now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// Never the same twice in a run, nor one of 127.0/16.
uint32_t NextLoopback() {
  static uint32_t next = 0;
  next = (next + 1) % (1u << 23);
  return (127u << 24) + (1u << 23) + next;
}

}  // namespace

absl::StatusOr<double> TimeConnects(uint16_t port, Destination destination, int count) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const uint64_t start = Now();
  for (int i = 0; i < count; ++i) {
    if (destination == Destination::kEachItsOwn) address.sin_addr.s_addr = htonl(NextLoopback());
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return ErrnoStatus(errno, "socket()");
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
        errno != ECONNREFUSED) {
      const int error = errno;
      close(fd);
      return ErrnoStatus(error, "connect()");
    }
    close(fd);
  }
  return static_cast<double>(Now() - start) / count;
}

absl::StatusOr<double> TimeExecs(int count) {
  static const char* const kArguments[] = {"true", nullptr};
  const uint64_t start = Now();
  for (int i = 0; i < count; ++i) {
    const pid_t pid = fork();
    if (pid < 0) return ErrnoStatus(errno, "fork()");
    if (pid == 0) {
      execv("/bin/true", const_cast<char* const*>(kArguments));
      _exit(127);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid) return ErrnoStatus(errno, "waitpid()");
    if (status != 0) return absl::InternalError("/bin/true did not run");
  }
  return static_cast<double>(Now() - start) / count;
}

absl::StatusOr<double> TimeConnectsInChild(uint16_t port, Destination destination, int count) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, "cannot fork");
  if (pid == 0) {
    const auto time = TimeConnects(port, destination, count);
    const double ns = time.value_or(-1);
    _exit(write(write_end.get(), &ns, sizeof(ns)) == sizeof(ns) ? 0 : 1);
  }
  write_end.reset();
  double ns = -1;
  const bool told = read(read_end.get(), &ns, sizeof(ns)) == sizeof(ns);
  waitpid(pid, nullptr, 0);
  if (!told || ns < 0) return absl::InternalError("connect() failed in a child");
  return ns;
}

}  // namespace postern::bench
