// SPDX-License-Identifier: Apache-2.0
// Which connection of gRPC is whose. gRPC is given plain sockets, and says of a
// call from one only "fd:17"; no other has that number as long as the call lives,
// because the socket stays open until its last call is gone. Thread-safe.
#ifndef POSTERN_SERVER_TRUST_PEERS_H_
#define POSTERN_SERVER_TRUST_PEERS_H_

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "common/mutex.h"
#include "server/trust/bearer.h"

namespace postern::server {

class Peers {
 public:
  // Before gRPC is given `fd`.
  void Add(int fd, std::shared_ptr<const Bearer> bearer) ABSL_LOCKS_EXCLUDED(mutex_);
  // Unless the number is another's by now.
  void Remove(int fd, const std::shared_ptr<const Bearer>& bearer) ABSL_LOCKS_EXCLUDED(mutex_);
  // `peer`: of a call's context. Null where it is nobody's, or no longer: refuse it.
  std::shared_ptr<const Bearer> Find(const std::string& peer) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<const Bearer>> bearers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_PEERS_H_
