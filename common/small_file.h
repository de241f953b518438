// SPDX-License-Identifier: Apache-2.0
// Files that somebody else wrote and that are read whole.
#ifndef POSTERN_COMMON_SMALL_FILE_H_
#define POSTERN_COMMON_SMALL_FILE_H_

#include <sys/stat.h>

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace postern {

enum class Links { kRefuse, kFollow };

// The whole of a regular file of at most `bytes_max`; never waits on a pipe or
// device. NotFound where there is none. Messages do not repeat the path. `state`,
// where given, is what fstat(2) says of the file that was read.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t bytes_max, Links links,
                                          struct stat* state = nullptr);

}  // namespace postern

#endif  // POSTERN_COMMON_SMALL_FILE_H_
