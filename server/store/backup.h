// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_SERVER_STORE_BACKUP_H_
#define POSTERN_SERVER_STORE_BACKUP_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace postern::server {

// Copies the store whose catalog is at `path`, which a collector may be writing to,
// to `target` and the folder TARGET.d, neither of which may be there: a store like
// the one it was, as of `now` (ns) or a little later. Whoever opens it is told that
// what came after `now` is missing. Leaves nothing behind when it fails.
absl::Status BackUp(const std::string& path, const std::string& target, int64_t now);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_BACKUP_H_
