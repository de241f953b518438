// SPDX-License-Identifier: Apache-2.0
// Which collectors live, and which of them speaks for an epoch.
//
// Each start of a collector is one number in table `collectors`, and says there every
// few seconds that it lives. While it does, the epochs of its streams are its own: a
// machine that was cloned cannot go on with one of them at another collector. When it
// is not heard of for kLeaseSeconds of the server's clock, or said that it ended, its
// claims are void.
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_LEASE_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_LEASE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "server/store/clickhouse/connection.h"

namespace postern::server::clickhouse {

// Well below the time after which an agent that finds its epochs in use takes itself for
// a clone (60 s): of a collector that died its claims are gone by then.
inline constexpr int kLeaseSeconds = 15;
// By our own clock it ends before it does by the server's.
inline constexpr absl::Duration kTrustedLease = absl::Seconds(10);
inline constexpr absl::Duration kRenewEvery = absl::Seconds(3);

// "SELECT collector …": those that live.
std::string LivingCollectors();

// Threads: Renew() and Claim() by one thread at a time each; a thread of its own renews.
class Lease {
 public:
  // `name` is this collector's among all that share the database: what an earlier start
  // of the same name claimed is void at once.
  Lease(const ServerAddress& address, std::string name);
  // Says that the collector ended, where the server can be reached.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // Changes when what was claimed before is not ours any more.
  uint64_t collector() const { return collector_.load(); }
  // Whether claims hold now.
  bool Holds() const;
  // Says that this collector lives; for the first time it also begins to say so by
  // itself. Where the lease was lost, collector() is another one afterwards.
  absl::Status Renew(Connection& connection) ABSL_LOCKS_EXCLUDED(renewing_);

  // Those of `epochs` that are another living collector's; the others are this one's.
  absl::StatusOr<std::set<uint64_t>> Claim(Connection& connection,
                                           const std::vector<uint64_t>& epochs);
  absl::Status Release(Connection& connection, const std::vector<uint64_t>& epochs);

 private:
  void Run();
  absl::Status Begin(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(renewing_);
  absl::Status Write(Connection& connection, const std::vector<uint64_t>& epochs, bool held);

  const ServerAddress address_;
  const std::string name_;
  std::atomic<uint64_t> collector_ = 0;
  // By a clock that nobody sets, ns; 0: never.
  std::atomic<int64_t> renewed_ = 0;
  Mutex renewing_;
  uint64_t beat_ ABSL_GUARDED_BY(renewing_) = 0;
  // Of whoever claims; later changes are larger.
  uint64_t changed_;
  Mutex mutex_;
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_LEASE_H_
