// SPDX-License-Identifier: Apache-2.0
#include "common/small_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern {

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t bytes_max, Links links,
                                          struct stat* state) {
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  const UniqueFd fd(open(path.c_str(), links == Links::kRefuse ? flags | O_NOFOLLOW : flags));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot be read");
  struct stat found = {};
  if (fstat(fd.get(), &found) != 0) return ErrnoStatus(errno, "cannot be read");
  if (state != nullptr) *state = found;
  if (!S_ISREG(found.st_mode)) {
    return absl::FailedPreconditionError("cannot be read: not a regular file");
  }
  std::string text;
  std::vector<char> buffer(16384);
  while (true) {
    const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "cannot be read");
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(got));
    if (text.size() > bytes_max) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot be read: larger than ", bytes_max, " bytes"));
    }
  }
}

}  // namespace postern
