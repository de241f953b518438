// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/mount_table.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/sensor/decoder.h"
#include "common/status.h"

namespace postern::enrich {
namespace {

constexpr char kMountInfo[] = "/proc/self/mountinfo";

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// The kernel writes blanks and backslashes in paths as \ooo (mangle_path).
std::string Unescape(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && IsOctal(text[i + 1]) && IsOctal(text[i + 2]) &&
        IsOctal(text[i + 3])) {
      const int value = (text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0');
      out.push_back(static_cast<char>(value));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// What is left of `path` below `folder`, with its slash; absent where it is not below.
std::optional<absl::string_view> Below(absl::string_view path, absl::string_view folder) {
  if (folder == "/") return path;
  if (path.substr(0, folder.size()) != folder) return std::nullopt;
  path.remove_prefix(folder.size());
  if (!path.empty() && path[0] != '/') return std::nullopt;
  return path;
}

}  // namespace

std::vector<Mount> ParseMountInfo(absl::string_view text) {
  std::vector<Mount> mounts;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    // Optional fields end with a single hyphen; the type comes after it.
    const auto hyphen =
        fields.size() > 6 ? std::find(fields.begin() + 6, fields.end(), "-") : fields.end();
    if (hyphen == fields.end() || hyphen + 1 == fields.end()) continue;
    mounts.push_back({std::string(fields[2]), Unescape(fields[3]), Unescape(fields[4]),
                      std::string(*(hyphen + 1))});
  }
  return mounts;
}

std::optional<std::string> HostPath(const std::vector<Mount>& mounts, absl::string_view device,
                                    absl::string_view path) {
  const Mount* best = nullptr;
  absl::string_view best_rest;
  for (const Mount& mount : mounts) {
    if (mount.device != device) continue;
    const std::optional<absl::string_view> rest = Below(path, sensor::PrintableText(mount.root));
    if (!rest.has_value()) continue;
    if (best == nullptr || std::tuple(mount.point != "/", mount.root.size()) <
                               std::tuple(best->point != "/", best->root.size())) {
      best = &mount;
      best_rest = *rest;
    }
  }
  if (best == nullptr) return std::nullopt;
  return absl::StrCat(best->point == "/" ? "" : sensor::PrintableText(best->point), best_rest);
}

absl::StatusOr<MountTable> MountTable::Open() {
  UniqueFd file(open(kMountInfo, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, kMountInfo);
  return MountTable(std::move(file));
}

const std::vector<Mount>& MountTable::mounts() {
  pollfd changed = {file_.get(), POLLPRI, 0};
  if (read_ && poll(&changed, 1, 0) == 0) return mounts_;
  read_ = true;
  std::string text;
  char chunk[16384];
  ssize_t got = 0;
  while ((got = pread(file_.get(), chunk, sizeof(chunk), static_cast<off_t>(text.size()))) > 0) {
    text.append(chunk, static_cast<size_t>(got));
  }
  mounts_ = ParseMountInfo(text);
  return mounts_;
}

}  // namespace postern::enrich
