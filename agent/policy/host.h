// SPDX-License-Identifier: Apache-2.0
// The accounts and files of this machine, as far as a policy names them. An
// interface, so that tests need neither root nor Postfix.
#ifndef POSTERN_AGENT_POLICY_HOST_H_
#define POSTERN_AGENT_POLICY_HOST_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace postern::policy {

struct FileState {
  mode_t mode = 0;
  uint32_t owner = 0;
};

// Thread-safe. Errors: NotFound for an account or file that is not there;
// PermissionDenied for a file that this process may not look at.
class Host {
 public:
  virtual ~Host() = default;

  virtual absl::StatusOr<uint32_t> UserId(const std::string& name) const = 0;
  virtual absl::StatusOr<uint32_t> GroupId(const std::string& name) const = 0;
  // Of the file itself, a symbolic link not followed.
  virtual absl::StatusOr<FileState> Look(const std::string& path) const = 0;
  virtual absl::StatusOr<std::string> ReadLink(const std::string& path) const = 0;
  // At most `bytes` from the beginning.
  virtual absl::StatusOr<std::string> ReadStart(const std::string& path, size_t bytes) const = 0;
  // Whether anybody has the file open for writing. False where that cannot be told: it
  // takes CAP_LEASE or one's own file, and a file system that knows.
  virtual bool IsBeingWritten(const std::string& path) const = 0;
};

std::unique_ptr<Host> RealHost();

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_HOST_H_
