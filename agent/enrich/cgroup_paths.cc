// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/cgroup_paths.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "agent/sensor/decoder.h"
#include "common/status.h"
#include "common/steady_clock.h"

namespace postern::enrich {
namespace {

// FILEID_KERNFS of include/linux/exportfs.h: a handle that is the 64-bit id.
constexpr int kFileIdKernfs = 0xfe;
// Walking a large tree for each cgroup that is gone would cost more than the name is worth.
constexpr absl::Duration kWalkEvery = absl::Seconds(5);

}  // namespace

absl::StatusOr<CgroupPaths> CgroupPaths::Open(std::string mount_point) {
  UniqueFd root(open(mount_point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return ErrnoStatus(errno, mount_point);
  struct stat folder = {};
  if (fstat(root.get(), &folder) != 0) return ErrnoStatus(errno, mount_point);
  CgroupPaths paths(std::move(mount_point), std::move(root));
  // What the kernel refuses for the root it refuses for all.
  paths.handles_refused_ = !paths.AskKernel(folder.st_ino).ok();
  return paths;
}

std::string CgroupPaths::Path(uint64_t id) {
  if (const auto known = paths_.find(id); known != paths_.end()) return known->second;
  if (paths_.size() >= kEntries) paths_.clear();
  if (!handles_refused_) {
    const absl::StatusOr<std::string> path = AskKernel(id);
    if (path.ok()) return paths_.emplace(id, *path).first->second;
    return "";
  }
  if (SteadyNow() - walked_at_ >= kWalkEvery) WalkTree();
  const auto known = paths_.find(id);
  return known == paths_.end() ? "" : known->second;
}

absl::StatusOr<std::string> CgroupPaths::AskKernel(uint64_t id) const {
  alignas(file_handle) char buffer[sizeof(file_handle) + sizeof(id)] = {};
  auto* handle = reinterpret_cast<file_handle*>(buffer);
  handle->handle_bytes = sizeof(id);
  handle->handle_type = kFileIdKernfs;
  memcpy(buffer + offsetof(file_handle, f_handle), &id, sizeof(id));
  const UniqueFd folder(open_by_handle_at(root_.get(), handle, O_PATH | O_CLOEXEC));
  if (!folder.valid()) {
    // ESTALE: no such cgroup any more.
    return errno == ESTALE ? absl::NotFoundError("the cgroup is gone")
                           : ErrnoStatus(errno, "open_by_handle_at");
  }
  char target[PATH_MAX];
  const ssize_t size =
      readlink(absl::StrCat("/proc/self/fd/", folder.get()).c_str(), target, sizeof(target));
  if (size < 0) return ErrnoStatus(errno, "/proc/self/fd");
  absl::string_view path(target, static_cast<size_t>(size));
  if (!absl::ConsumePrefix(&path, mount_point_)) {
    return absl::InternalError("the cgroup lies outside of its mount");
  }
  absl::ConsumeSuffix(&path, " (deleted)");
  return path.empty() ? "/" : sensor::PrintableText(path);
}

void CgroupPaths::WalkTree() {
  namespace fs = std::filesystem;
  walked_at_ = SteadyNow();
  std::error_code error;
  const auto take = [this](const std::string& path) {
    struct stat folder = {};
    if (stat(path.c_str(), &folder) != 0) return;
    const std::string below = path.substr(mount_point_.size());
    paths_[folder.st_ino] = below.empty() ? "/" : sensor::PrintableText(below);
  };
  take(mount_point_);
  fs::recursive_directory_iterator entries(mount_point_,
                                           fs::directory_options::skip_permission_denied, error);
  // Cgroups come and go under the walk: an error ends it, and the next one goes on.
  for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    if (entries->is_directory(error) && !error) take(entries->path().string());
    if (paths_.size() >= kEntries) return;
  }
}

}  // namespace postern::enrich
