// SPDX-License-Identifier: Apache-2.0
#include "server/store/store_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status.h"
#include "server/store/partition.h"

namespace postern::server {
namespace {

constexpr mode_t kOthers = S_IRWXG | S_IRWXO;

// What is not there is fine. Counts in `opened_up` what others could read or write.
absl::Status MakeOurs(const std::string& path, const struct stat& status, int& opened_up) {
  if (status.st_uid != geteuid()) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": belongs to user ", status.st_uid, ", who could change the record; chown it to ",
        geteuid(), " if it is sound, or name another file in 'store'"));
  }
  if ((status.st_mode & kOthers) == 0) return absl::OkStatus();
  if (chmod(path.c_str(), S_ISDIR(status.st_mode) ? 0700 : 0600) != 0) {
    return ErrnoStatus(errno, path);
  }
  ++opened_up;
  return absl::OkStatus();
}

absl::Status CheckFile(const std::string& path, int& opened_up) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, path);
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": is ",
                     S_ISLNK(status.st_mode)   ? "a symlink"
                     : S_ISDIR(status.st_mode) ? "a folder"
                                               : "no file",
                     ", where a file of the store has to be; put that file there, or remove it"));
  }
  return MakeOurs(path, status, opened_up);
}

absl::Status CheckWithLog(const std::string& file, int& opened_up) {
  for (const char* part : {"", "-wal", "-shm"}) {
    RETURN_IF_ERROR(CheckFile(absl::StrCat(file, part), opened_up));
  }
  return absl::OkStatus();
}

// Of the folder itself, which may lie elsewhere and be linked to.
absl::Status CheckFolder(const std::string& folder, int& opened_up) {
  struct stat status = {};
  if (stat(folder.c_str(), &status) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, folder);
  }
  if (!S_ISDIR(status.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder,
                     ": is no folder, where that of the store's partitions has to be; "
                     "move it away, or name another file in 'store'"));
  }
  return MakeOurs(folder, status, opened_up);
}

// Whether the catalog is there, with something in it. A symlink to it is followed, as
// SQLite does.
absl::StatusOr<bool> CheckCatalog(const std::string& catalog, int& opened_up) {
  struct stat status = {};
  if (stat(catalog.c_str(), &status) != 0) {
    if (errno != ENOENT) return ErrnoStatus(errno, catalog);
    return false;
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(catalog, ": is no file; name another one in 'store'"));
  }
  RETURN_IF_ERROR(MakeOurs(catalog, status, opened_up));
  return status.st_size > 0;
}

}  // namespace

absl::Status CheckStoreFiles(const std::string& catalog) {
  const std::string folder = PartitionFolder(catalog);
  int opened_up = 0;
  RETURN_IF_ERROR(CheckFolder(folder, opened_up));
  ASSIGN_OR_RETURN(const bool has_catalog, CheckCatalog(catalog, opened_up));
  const std::vector<int64_t> partitions = PartitionFilesOf(catalog);
  if (!has_catalog && !partitions.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        catalog, ": the catalog of the store is missing or empty, but ", partitions.size(),
        " of its partitions lie in ", folder, "; put a copy of the catalog back, or move ", folder,
        " away to begin a new store"));
  }
  for (const char* beside : {"-wal", "-shm", ".lock"}) {
    RETURN_IF_ERROR(CheckFile(absl::StrCat(catalog, beside), opened_up));
  }
  for (const int64_t number : partitions) {
    RETURN_IF_ERROR(CheckWithLog(PartitionFile(catalog, number), opened_up));
  }
  if (opened_up > 0) {
    LogWarning(
        "%s: other users could read or write %d of the store's files; they are their owner's "
        "alone now (0600, the folder 0700)",
        catalog, opened_up);
  }
  return absl::OkStatus();
}

}  // namespace postern::server
