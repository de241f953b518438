// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_COMMON_FILE_LIMIT_H_
#define POSTERN_COMMON_FILE_LIMIT_H_

#include "absl/status/status.h"

namespace postern {

// Lets this process open as many files as it may ask for. The usual soft limit,
// 1024, is for programs that call select(2); ours do not.
absl::Status RaiseFileLimit();

}  // namespace postern

#endif  // POSTERN_COMMON_FILE_LIMIT_H_
