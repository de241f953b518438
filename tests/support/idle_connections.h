// SPDX-License-Identifier: Apache-2.0
// What takes a daemon's files away: a process that holds connections to its
// socket and says nothing on them. For one thread. No GoogleTest.
#ifndef POSTERN_TESTS_SUPPORT_IDLE_CONNECTIONS_H_
#define POSTERN_TESTS_SUPPORT_IDLE_CONNECTIONS_H_

#include <sys/resource.h>
#include <sys/types.h>

#include <string>

#include "common/unique_fd.h"

namespace postern::support {

// While it lives this process, and what it starts, may open `files` files.
class FileLimit {
 public:
  explicit FileLimit(rlim_t files);
  ~FileLimit() { setrlimit(RLIMIT_NOFILE, &before_); }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  rlimit before_ = {};
};

// Opened when it is made, by a process of its own, which has as many files as
// the system gives; closed when it goes.
class IdleConnections {
 public:
  IdleConnections(const std::string& socket_path, int count);
  ~IdleConnections();
  IdleConnections(const IdleConnections&) = delete;
  IdleConnections& operator=(const IdleConnections&) = delete;

  // How many were made: nobody listened to the others.
  int made() const { return made_; }

 private:
  pid_t pid_ = -1;
  UniqueFd hold_;
  int made_ = 0;
};

}  // namespace postern::support

#endif  // POSTERN_TESTS_SUPPORT_IDLE_CONNECTIONS_H_
