// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/cgroup_root.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/sensor/mounts.h"
#include "common/status.h"

namespace postern::sensor {
namespace {

// Id of the root in every cgroup v2 hierarchy (kernfs numbers nodes from 1).
constexpr uint64_t kRootCgroupId = 1;

absl::StatusOr<uint64_t> CgroupId(int fd, const std::string& path) {
  // A kernfs file handle is its 64-bit id (include/linux/exportfs.h, FILEID_KERNFS).
  uint64_t id = 0;
  alignas(file_handle) char room[sizeof(file_handle) + sizeof(id)] = {};
  auto* handle = reinterpret_cast<file_handle*>(room);
  handle->handle_bytes = sizeof(id);
  int mount_id = 0;
  if (name_to_handle_at(fd, "", handle, &mount_id, AT_EMPTY_PATH) != 0) {
    return ErrnoStatus(errno, absl::StrCat("reading the cgroup id of ", path));
  }
  memcpy(&id, handle->f_handle, sizeof(id));
  return id;
}

}  // namespace

absl::StatusOr<std::string> FindCgroupRoot() {
  const std::vector<std::string> points = MountPointsOf("cgroup2");
  if (!points.empty()) return points.front();
  return absl::NotFoundError(
      "no cgroup v2 is mounted; mount one (mount -t cgroup2 none /sys/fs/cgroup/unified) or name "
      "it in the configuration's `cgroup:`");
}

absl::StatusOr<UniqueFd> OpenCgroupRoot(const std::string& path) {
  std::string root = path;
  if (path == "auto") {
    ASSIGN_OR_RETURN(root, FindCgroupRoot());
  }
  UniqueFd fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("opening the cgroup root ", root));
  struct statfs fs = {};
  if (fstatfs(fd.get(), &fs) != 0) return ErrnoStatus(errno, absl::StrCat("statfs of ", root));
  if (fs.f_type != CGROUP2_SUPER_MAGIC) {
    return absl::FailedPreconditionError(
        absl::StrCat(root, " is not a cgroup v2 mount; set `cgroup:` to one, or to auto"));
  }
  ASSIGN_OR_RETURN(const uint64_t id, CgroupId(fd.get(), root));
  if (id != kRootCgroupId) {
    return absl::FailedPreconditionError(
        absl::StrCat(root,
                     " is not the root of cgroup v2: processes outside it would not be "
                     "seen; mount the whole tree and set `cgroup:` to it"));
  }
  return fd;
}

}  // namespace postern::sensor
