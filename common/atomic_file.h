// SPDX-License-Identifier: Apache-2.0
// Small files that are there whole or not at all, whatever happens to the power.
#ifndef POSTERN_COMMON_ATOMIC_FILE_H_
#define POSTERN_COMMON_ATOMIC_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace postern {

// Replaces `path`, mode 0600, by a new file beside it that is on the disk before
// it takes the name. One writer at a time.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view content);

}  // namespace postern

#endif  // POSTERN_COMMON_ATOMIC_FILE_H_
