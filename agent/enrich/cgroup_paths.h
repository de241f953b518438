// SPDX-License-Identifier: Apache-2.0
// From the id of a cgroup v2 to its path. Owned by one thread.
#ifndef POSTERN_AGENT_ENRICH_CGROUP_PATHS_H_
#define POSTERN_AGENT_ENRICH_CGROUP_PATHS_H_

#include <cstdint>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/unique_fd.h"

namespace postern::enrich {

class CgroupPaths {
 public:
  // A host with more cgroups than this asks the kernel again.
  static constexpr size_t kEntries = 16384;

  // `mount_point` is that of cgroup v2.
  static absl::StatusOr<CgroupPaths> Open(std::string mount_point);

  // Printable, from the root of the tree: "/" or "/system.slice/postfix.service".
  // "" for a cgroup that is gone and was never seen. A cgroup cannot be renamed
  // in version 2, and ids are not used again, so what was seen stays right.
  std::string Path(uint64_t id);

 private:
  CgroupPaths(std::string mount_point, UniqueFd root)
      : mount_point_(std::move(mount_point)), root_(std::move(root)) {}

  absl::StatusOr<std::string> AskKernel(uint64_t id) const;
  // For kernels and sandboxes that refuse the handle (it wants
  // CAP_DAC_READ_SEARCH). An id is the number of the folder's inode.
  void WalkTree();

  std::string mount_point_;
  UniqueFd root_;
  bool handles_refused_ = false;
  absl::Time walked_at_ = absl::InfinitePast();
  std::unordered_map<uint64_t, std::string> paths_;
};

}  // namespace postern::enrich

#endif  // POSTERN_AGENT_ENRICH_CGROUP_PATHS_H_
