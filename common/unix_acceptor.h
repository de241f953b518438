// SPDX-License-Identifier: Apache-2.0
// Accepts the connections of one unix socket, on a thread of its own, and hands
// them on, so many at a time and no more.
//
// gRPC's own listener closes its socket for good when accept4(2) fails for want
// of a descriptor (1.51, tcp_server_posix.cc, on_read): who may read could take
// every socket of a daemon away with idle connections. Here such a connection
// waits until there is a descriptor, and those past the limits are refused.
#ifndef POSTERN_COMMON_UNIX_ACCEPTOR_H_
#define POSTERN_COMMON_UNIX_ACCEPTOR_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "common/unique_fd.h"

namespace postern {

// For one thread.
class UnixAcceptor {
 public:
  // Of connections that are open at a time.
  struct Limits {
    size_t all = 0;
    size_t of_one_user = 0;
  };
  // Called by the acceptor's thread with a connection that does not block. Who
  // takes it closes it, under the number that it has: this is how the acceptor
  // knows its place to be free again.
  using Take = std::function<void(UniqueFd connection)>;

  // `name` stands for the socket in the log.
  UnixAcceptor(std::string name, Limits limits, Take take);
  ~UnixAcceptor() { Stop(); }
  UnixAcceptor(const UnixAcceptor&) = delete;
  UnixAcceptor& operator=(const UnixAcceptor&) = delete;

  // Accepts from `listening`, a blocking socket, and from the one before no more.
  // What is open stays so, and counts.
  void AcceptFrom(UniqueFd listening);
  // Nothing is handed on any more when it returns.
  void Stop();

 private:
  struct Connection {
    int fd = -1;  // a number only: the connection is its taker's
    uint64_t cookie = 0;
    uid_t uid = 0;
  };

  void Run();
  void Admit(UniqueFd fd);

  const std::string name_;
  const Limits limits_;
  const Take take_;
  UniqueFd listening_;
  std::thread thread_;
  // The thread's own while it runs.
  std::vector<Connection> open_;
  absl::Time next_refusal_said_ = absl::InfinitePast();
  absl::Time next_failure_said_ = absl::InfinitePast();
};

}  // namespace postern

#endif  // POSTERN_COMMON_UNIX_ACCEPTOR_H_
