// SPDX-License-Identifier: Apache-2.0
#include "common/pki/revocations.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/small_file.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::pki {
namespace {

// A hundred thousand revoked hosts.
constexpr size_t kMaxBytes = size_t{32} << 20;

std::string KeyOf(Role role, const std::string& name) {
  return absl::StrCat(RoleName(role), " ", name);
}

}  // namespace

std::string RoleName(Role role) { return role == Role::kAgent ? "agent" : "operator"; }

absl::StatusOr<Revocations> Revocations::Load(const std::string& path) {
  Revocations revocations;
  const absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxBytes, Links::kRefuse);
  if (absl::IsNotFound(text.status())) return revocations;
  if (!text.ok()) {
    return absl::Status(text.status().code(), absl::StrCat(path, " ", text.status().message()));
  }
  int line = 0;
  for (const absl::string_view written : absl::StrSplit(*text, '\n')) {
    ++line;
    if (written.empty()) continue;
    const std::vector<std::string> words = absl::StrSplit(written, ' ');
    int64_t second = 0;
    if (words.size() != 3 || (words[0] != "agent" && words[0] != "operator") ||
        !absl::SimpleAtoi(words[2], &second)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", line, ": is no 'agent NAME SECOND'; mend the line"));
    }
    const std::string key = absl::StrCat(words[0], " ", words[1]);
    absl::Time& until = revocations.until_.try_emplace(key, absl::InfinitePast()).first->second;
    until = std::max(until, absl::FromUnixSeconds(second));
  }
  return revocations;
}

absl::Status Revocations::Add(const std::string& path, Role role, const std::string& name,
                              absl::Time now) {
  const UniqueFd fd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
  const std::string line = absl::StrCat(KeyOf(role, name), " ", absl::ToUnixSeconds(now), "\n");
  // One at a time: what a full disk cuts off is taken back.
  struct stat before = {};
  if (flock(fd.get(), LOCK_EX) != 0 || fstat(fd.get(), &before) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
  }
  // Nobody would heed it behind a line that cannot be read.
  RETURN_IF_ERROR(Load(path).status());
  const ssize_t wrote = write(fd.get(), line.data(), line.size());
  if (wrote == static_cast<ssize_t>(line.size()) && fsync(fd.get()) == 0) return absl::OkStatus();
  const int error = wrote >= 0 && wrote < static_cast<ssize_t>(line.size()) ? ENOSPC : errno;
  if (ftruncate(fd.get(), before.st_size) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot take back half a line at the end of ", path));
  }
  return ErrnoStatus(error, absl::StrCat("cannot write ", path));
}

absl::Time Revocations::RevokedUntil(Role role, const std::string& name) const {
  const auto found = until_.find(KeyOf(role, name));
  return found == until_.end() ? absl::InfinitePast() : found->second;
}

size_t Revocations::Count(Role role) const {
  return static_cast<size_t>(
      std::count_if(until_.begin(), until_.end(), [prefix = KeyOf(role, "")](const auto& entry) {
        return absl::StartsWith(entry.first, prefix);
      }));
}

}  // namespace postern::pki
