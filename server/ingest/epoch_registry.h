// SPDX-License-Identifier: Apache-2.0
// Which epochs and hosts the live streams speak for. An epoch that two streams
// claim is a cloned machine: both would move one mark, and events of one would
// be taken for the other's. Thread-safe.
#ifndef POSTERN_SERVER_INGEST_EPOCH_REGISTRY_H_
#define POSTERN_SERVER_INGEST_EPOCH_REGISTRY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace postern::server {

class EpochRegistry {
 public:
  // All of `epochs` for a stream of `host`, or none: kAlreadyExists.
  absl::Status Claim(const std::string& host, const std::vector<uint64_t>& epochs);
  // What Claim() gave. `when_last` is called, before anyone else can claim, when
  // no other stream of the host is left; it must not call back.
  void Release(const std::string& host, const std::vector<uint64_t>& epochs,
               absl::FunctionRef<void()> when_last);

 private:
  absl::Mutex mutex_;
  // The host that holds the epoch.
  absl::flat_hash_map<uint64_t, std::string> epochs_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, int> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_INGEST_EPOCH_REGISTRY_H_
