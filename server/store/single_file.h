// SPDX-License-Identifier: Apache-2.0
// Up to schema 2 a store was one file. Its events are copied to partitions.
#ifndef POSTERN_SERVER_STORE_SINGLE_FILE_H_
#define POSTERN_SERVER_STORE_SINGLE_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "server/store/partitions.h"
#include "server/store/sqlite.h"

namespace postern::server {

// Copies all events of `store`, the file at `path`, to new partitions beside it.
// Partitions that lie there are what an earlier try left, and go first: `store` is
// left as it is, so that it can be tried again until the new schema is committed.
absl::Status MoveEventsToPartitions(Database& store, const std::string& path,
                                    const PartitionLimits& limits, int64_t now);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_SINGLE_FILE_H_
