// SPDX-License-Identifier: Apache-2.0
// What the catalog knows of the partitions. Functions over its database.
#ifndef POSTERN_SERVER_STORE_CATALOG_H_
#define POSTERN_SERVER_STORE_CATALOG_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/partition.h"
#include "server/store/sqlite.h"

namespace postern::server {

// A transaction of the catalog that outlives a power cut; the others may be
// undone by one.
absl::StatusOr<Transaction> BeginDurable(Database& catalog);

// By number.
absl::StatusOr<std::vector<Partition>> PartitionsOf(Database& catalog);
// Adds it, or replaces what is known of it.
absl::Status PutPartition(Database& catalog, const Partition& partition);
absl::Status ForgetPartition(Database& catalog, int64_t number);

// The marks and the hosts of `partition` are made the catalog's where they are
// further; within the caller's transaction.
absl::Status TakeOver(Database& catalog, Database& partition);

// Retention has dropped what ended before that (ns); nullopt: nothing yet.
absl::StatusOr<std::optional<int64_t>> ExpiredBefore(Database& catalog);
absl::Status RememberExpiry(Database& catalog, int64_t before);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_CATALOG_H_
