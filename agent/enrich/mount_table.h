// SPDX-License-Identifier: Apache-2.0
// Where this host has mounted what, from /proc/self/mountinfo
// (Documentation/filesystems/proc.rst). Owned by one thread.
#ifndef POSTERN_AGENT_ENRICH_MOUNT_TABLE_H_
#define POSTERN_AGENT_ENRICH_MOUNT_TABLE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/unique_fd.h"

namespace postern::enrich {

struct Mount {
  std::string device;  // "major:minor"
  std::string root;    // path in the file system that is mounted
  std::string point;   // where
  std::string type;    // "ext4", "cgroup2", …
};

// Lines that are not as they should be are left out.
std::vector<Mount> ParseMountInfo(absl::string_view text);

// Where the file at `path` of the file system `device` is found on this host.
// Prefers the mount at "/", then the one that shows most of the file system, then
// the earlier one. Absent where none shows it. `path` and the result are printable
// text, as the decoder makes it.
std::optional<std::string> HostPath(const std::vector<Mount>& mounts, absl::string_view device,
                                    absl::string_view path);

class MountTable {
 public:
  static absl::StatusOr<MountTable> Open();

  // Read anew where mounts have changed since the last call.
  const std::vector<Mount>& mounts();

 private:
  explicit MountTable(UniqueFd file) : file_(std::move(file)) {}

  UniqueFd file_;
  bool read_ = false;
  std::vector<Mount> mounts_;
};

}  // namespace postern::enrich

#endif  // POSTERN_AGENT_ENRICH_MOUNT_TABLE_H_
