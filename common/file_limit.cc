// SPDX-License-Identifier: Apache-2.0
#include "common/file_limit.h"

#include <sys/resource.h>

#include <cerrno>

#include "common/status.h"

namespace postern {

absl::Status RaiseFileLimit() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) == 0) return absl::OkStatus();
  }
  return ErrnoStatus(errno, "the limit of open files cannot be raised");
}

}  // namespace postern
