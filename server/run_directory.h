// SPDX-License-Identifier: Apache-2.0
// The folder of the collector's sockets, held by one collector at a time.
#ifndef POSTERN_SERVER_RUN_DIRECTORY_H_
#define POSTERN_SERVER_RUN_DIRECTORY_H_

#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/unique_fd.h"

namespace postern::server {

class RunDirectory {
 public:
  // Makes the folder (0755) where it is missing; its parent must be there.
  // Refuses one that is a symlink, another's, or writable by others, and one
  // that another collector holds (kAlreadyExists). The hold ends with the object
  // or the process.
  static absl::StatusOr<RunDirectory> Hold(const std::string& path);

  // Removes the sockets.
  ~RunDirectory();
  RunDirectory(RunDirectory&&) = default;
  RunDirectory& operator=(RunDirectory&&) = delete;

  std::string PathOf(const std::string& name) const { return path_ + "/" + name; }

  // A socket that listens under this name, for its owner alone, in place of what
  // a dead collector left. Refuses where somebody listens, and where the name is
  // no socket.
  absl::StatusOr<UniqueFd> Listen(const std::string& name);
  // Opens a socket that was made for its owner alone to the members of `group`;
  // leaves it closed where there is no such group.
  absl::Status ShareSocket(const std::string& name, const std::string& group) const;

 private:
  RunDirectory(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  absl::Status ClearSocket(const std::string& name) const;

  std::string path_;
  UniqueFd lock_;
  std::vector<std::string> listening_;  // names
};

// Files that are made while it lives are their owner's alone. Of the
// whole process: for times when no other thread makes files for others.
class PrivateUmask {
 public:
  PrivateUmask() : before_(umask(0177)) {}
  ~PrivateUmask() { umask(before_); }
  PrivateUmask(const PrivateUmask&) = delete;
  PrivateUmask& operator=(const PrivateUmask&) = delete;

 private:
  const mode_t before_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_RUN_DIRECTORY_H_
