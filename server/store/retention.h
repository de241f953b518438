// SPDX-License-Identifier: Apache-2.0
// Drops what is older than the retention, a little at a time, so that batches
// never wait long behind it. On the store's thread.
#ifndef POSTERN_SERVER_STORE_RETENTION_H_
#define POSTERN_SERVER_STORE_RETENTION_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "server/store/sqlite.h"

namespace postern::server {

// Events that one step drops at most.
inline constexpr int64_t kRetentionStep = 1'000;

// One transaction: drops events that ended before `cutoff` (ns) and, after the
// last of them, the names that only they used and hosts not heard of since;
// then gives freed pages back to the file system. False when nothing is left
// to drop.
absl::StatusOr<bool> RetentionStep(Database& database, int64_t cutoff);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_RETENTION_H_
