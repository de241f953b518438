// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/disk_use.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::server {
namespace {

namespace fs = std::filesystem;

// st_blocks counts so many bytes each, whatever the file system (stat(2)).
constexpr uint64_t kBlockBytes = 512;

uint64_t BytesOf(const fs::path& path) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) return 0;
  uint64_t bytes = static_cast<uint64_t>(status.st_blocks) * kBlockBytes;
  if (!S_ISDIR(status.st_mode)) return bytes;
  std::error_code error;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    bytes += BytesOf(entry->path());
  }
  return bytes;
}

}  // namespace

absl::StatusOr<DiskUse> DiskUseOf(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  const std::string name = fs::path(path).filename();
  struct statvfs disk = {};
  if (statvfs(folder.c_str(), &disk) != 0) return ErrnoStatus(errno, folder.string());
  DiskUse use;
  use.free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string beside = entry->path().filename();
    if (beside == name || absl::StartsWith(beside, absl::StrCat(name, "-")) ||
        absl::StartsWith(beside, absl::StrCat(name, "."))) {
      use.bytes += BytesOf(entry->path());
    }
  }
  return use;
}

}  // namespace postern::server
