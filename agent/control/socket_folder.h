// SPDX-License-Identifier: Apache-2.0
// Sockets that nobody else can connect to, not even for an instant: they are made
// in a private folder, get their owner and mode there, and only then their name.
#ifndef POSTERN_AGENT_CONTROL_SOCKET_FOLDER_H_
#define POSTERN_AGENT_CONTROL_SOCKET_FOLDER_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace postern::control {

// gid of `name`, if there is such a group.
std::optional<gid_t> GroupId(const std::string& name);

// Makes `path` (0755) where it is missing. Refused where it is not ours, or
// others may write to it: they could replace the sockets.
absl::Status PrepareRunFolder(const std::string& path);

class SocketFolder {
 public:
  // Prepares `path`.
  static absl::StatusOr<std::unique_ptr<SocketFolder>> Create(const std::string& path);
  // Removes the sockets that were put in place and still are, and the private folder.
  ~SocketFolder();
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;

  // Where to make the socket that will be called `name`.
  absl::StatusOr<std::string> PrivatePath(const std::string& name) const;
  // Puts it in place of whatever an earlier agent left. Of group `group` and 0660,
  // or root's alone and 0600 where there is none.
  absl::Status PutInPlace(const std::string& name, std::optional<gid_t> group);
  // Whether the socket still has its name; false where it has none any more. Error:
  // something else has it.
  absl::StatusOr<bool> InPlace(const std::string& name) const;
  // When all are in place, so that a killed agent leaves no folder behind.
  void RemovePrivateFolder();

 private:
  // Device and inode, which stay the socket's own as long as somebody listens.
  using FileId = std::pair<dev_t, ino_t>;

  explicit SocketFolder(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::string private_path_;
  std::map<std::string, FileId> in_place_;  // by name
};

}  // namespace postern::control

#endif  // POSTERN_AGENT_CONTROL_SOCKET_FOLDER_H_
