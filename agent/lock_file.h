// SPDX-License-Identifier: Apache-2.0
// One agent a folder.
#ifndef POSTERN_AGENT_LOCK_FILE_H_
#define POSTERN_AGENT_LOCK_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/unique_fd.h"

namespace postern::agent {

// Makes `path` (0700) where it is missing; refuses what is not ours or is
// writable by others.
absl::Status PrepareStateFolder(const std::string& path);

// Locks FOLDER/lock until the descriptor is closed. FailedPrecondition, with its
// process id, where another agent holds it. `setting` is what names the folder.
absl::StatusOr<UniqueFd> LockFolder(absl::string_view setting, const std::string& folder);

}  // namespace postern::agent

#endif  // POSTERN_AGENT_LOCK_FILE_H_
