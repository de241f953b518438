// SPDX-License-Identifier: Apache-2.0
#include "agent/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status.h"

namespace postern::agent {

absl::Status PrepareStateFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("state_dir ", path, " cannot be made"));
  }
  struct stat folder = {};
  if (stat(path.c_str(), &folder) != 0) {
    return ErrnoStatus(errno, absl::StrCat("state_dir ", path));
  }
  if (!S_ISDIR(folder.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat("state_dir ", path, " is not a folder"));
  }
  if (folder.st_uid != geteuid() || (folder.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("state_dir ", path, " must belong to uid ", geteuid(),
                     " and be writable by it alone: chown and chmod 700 it"));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> LockFolder(absl::string_view setting, const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/lock");
  UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return ErrnoStatus(errno, path);
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, path);
    char pid[32] = "";
    const ssize_t size = pread(file.get(), pid, sizeof(pid), 0);
    const absl::string_view text(pid, size > 0 ? static_cast<size_t>(size) : 0);
    return absl::FailedPreconditionError(
        absl::StrCat("another posternd uses ", setting, " ", folder, " (pid ",
                     absl::StripAsciiWhitespace(text), "): stop it, or name another ", setting));
  }
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(file.get(), 0) != 0 ||
      pwrite(file.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return ErrnoStatus(errno, path);
  }
  return file;
}

}  // namespace postern::agent
