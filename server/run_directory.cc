// SPDX-License-Identifier: Apache-2.0
#include "server/run_directory.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status.h"
#include "common/unix_socket.h"

namespace postern::server {
namespace {

absl::Status CheckFolder(const std::string& path) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) return ErrnoStatus(errno, path);
  if (!S_ISDIR(status.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": is not a folder; name another 'run_dir'"));
  }
  if (status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path,
                     ": belongs to another user or is writable by others; 'run_dir' must be "
                     "the collector's alone (chown, chmod 0755)"));
  }
  return absl::OkStatus();
}

// Whether a process accepts connections there.
absl::StatusOr<bool> Listens(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": too long for the path of a socket"));
  }
  memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return true;
  }
  // EAGAIN: its queue of connections is full.
  if (errno == EAGAIN) return true;
  if (errno == ECONNREFUSED || errno == ENOENT) return false;
  return ErrnoStatus(errno, path);
}

}  // namespace

absl::StatusOr<RunDirectory> RunDirectory::Hold(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0) {
    if (errno != EEXIST) {
      return ErrnoStatus(errno, absl::StrCat("cannot make 'run_dir' ", path));
    }
  } else if (chmod(path.c_str(), 0755) != 0) {
    return ErrnoStatus(errno, path);
  }
  RETURN_IF_ERROR(CheckFolder(path));
  const std::string name = absl::StrCat(path, "/collector.lock");
  UniqueFd lock(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid()) {
    return ErrnoStatus(errno, absl::StrCat("cannot write in 'run_dir': ", name));
  }
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, name);
    return absl::AlreadyExistsError(
        absl::StrCat(path,
                     ": another postern-collector is running here; stop it first, or name "
                     "another 'run_dir'"));
  }
  return RunDirectory(path, std::move(lock));
}

RunDirectory::~RunDirectory() {
  for (const std::string& name : listening_) {
    const std::string path = PathOf(name);
    struct stat status;
    // Whatever stands there by now: files are somebody else's.
    if (lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) unlink(path.c_str());
  }
}

absl::StatusOr<UniqueFd> RunDirectory::Listen(const std::string& name) {
  RETURN_IF_ERROR(ClearSocket(name));
  ASSIGN_OR_RETURN(UniqueFd socket, ListenOnUnixSocket(PathOf(name)));
  listening_.push_back(name);
  return socket;
}

absl::Status RunDirectory::ClearSocket(const std::string& name) const {
  const std::string path = PathOf(name);
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, path);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": is in the way and no socket; remove it"));
  }
  ASSIGN_OR_RETURN(const bool listens, Listens(path));
  if (listens) {
    return absl::AlreadyExistsError(
        absl::StrCat(path,
                     ": somebody listens here already; another postern-collector is "
                     "running?"));
  }
  if (unlink(path.c_str()) != 0) return ErrnoStatus(errno, path);
  return absl::OkStatus();
}

absl::Status RunDirectory::ShareSocket(const std::string& name, const std::string& group) const {
  std::vector<char> buffer(4096);
  ::group entry;
  ::group* found = nullptr;
  while (getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found) == ERANGE) {
    buffer.resize(buffer.size() * 2);
  }
  const std::string path = PathOf(name);
  if (found == nullptr) {
    LogInfo("no group '%s' here: %s is for its owner alone", group, path);
    return absl::OkStatus();
  }
  // The group first: until the mode is set the socket is its owner's.
  if (chown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0 ||
      chmod(path.c_str(), 0660) != 0) {
    return ErrnoStatus(errno, path);
  }
  return absl::OkStatus();
}

}  // namespace postern::server
