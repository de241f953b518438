// SPDX-License-Identifier: Apache-2.0
#include "tests/support/idle_connections.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

namespace postern::support {
namespace {

// In a child of a process with threads: system calls alone.
[[noreturn]] void HoldConnections(const sockaddr_un& address, int count, int report, int hold) {
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int made = 0;
  for (int i = 0; i < count; ++i) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      ++made;
    }
  }
  char end = 0;
  const bool reported = write(report, &made, sizeof(made)) == sizeof(made);
  while (reported && read(hold, &end, 1) > 0) {
  }
  _exit(0);
}

}  // namespace

FileLimit::FileLimit(rlim_t files) {
  getrlimit(RLIMIT_NOFILE, &before_);
  rlimit lower = before_;
  lower.rlim_cur = files;
  setrlimit(RLIMIT_NOFILE, &lower);
}

IdleConnections::IdleConnections(const std::string& socket_path, int count) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, socket_path.c_str(), sizeof(address.sun_path) - 1);
  int report[2] = {-1, -1};
  int hold[2] = {-1, -1};
  if (pipe2(report, O_CLOEXEC) != 0 || pipe2(hold, O_CLOEXEC) != 0) return;
  const UniqueFd read_report(report[0]);
  UniqueFd write_report(report[1]);
  const UniqueFd read_hold(hold[0]);
  hold_ = UniqueFd(hold[1]);
  pid_ = fork();
  if (pid_ == 0) {
    close(hold_.get());
    HoldConnections(address, count, write_report.get(), read_hold.get());
  }
  write_report.reset();
  if (read(read_report.get(), &made_, sizeof(made_)) != sizeof(made_)) made_ = 0;
}

IdleConnections::~IdleConnections() {
  hold_.reset();
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

}  // namespace postern::support
