// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_SERVER_METRICS_DISK_USE_H_
#define POSTERN_SERVER_METRICS_DISK_USE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace postern::server {

struct DiskUse {
  uint64_t bytes = 0;       // on the disk, of all files of a store
  uint64_t free_bytes = 0;  // of its file system, for who is not root
};

// Of the store at `path`: that file, and all beside it whose name begins with its name and
// a '-' or '.', with what is in such folders (docs/store.md). Files that come and go
// meanwhile are counted or not.
absl::StatusOr<DiskUse> DiskUseOf(const std::string& path);

}  // namespace postern::server

#endif  // POSTERN_SERVER_METRICS_DISK_USE_H_
