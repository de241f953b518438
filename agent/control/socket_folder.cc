// SPDX-License-Identifier: Apache-2.0
#include "agent/control/socket_folder.h"

#include <grp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::control {

std::optional<gid_t> GroupId(const std::string& name) {
  group entry = {};
  group* found = nullptr;
  std::vector<char> buffer(4096);
  while (getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) == ERANGE &&
         buffer.size() < (1 << 20)) {
    buffer.resize(buffer.size() * 2);
  }
  if (found == nullptr) return std::nullopt;
  return found->gr_gid;
}

absl::Status PrepareRunFolder(const std::string& path) {
  const bool made = mkdir(path.c_str(), 0755) == 0;
  // Readers of its group pass through it, whatever the umask.
  if (made ? chmod(path.c_str(), 0755) != 0 : errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("run_dir ", path, " cannot be made"));
  }
  struct stat folder = {};
  if (lstat(path.c_str(), &folder) != 0) return ErrnoStatus(errno, absl::StrCat("run_dir ", path));
  if (!S_ISDIR(folder.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat("run_dir ", path, " is not a folder"));
  }
  if (folder.st_uid != geteuid() || (folder.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("run_dir ", path, " must belong to uid ", geteuid(),
                     " and be writable by it alone: chown and chmod 755, or name another one"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SocketFolder>> SocketFolder::Create(const std::string& path) {
  RETURN_IF_ERROR(PrepareRunFolder(path));
  std::unique_ptr<SocketFolder> sockets(new SocketFolder(path));
  std::string name = absl::StrCat(path, "/.XXXXXX");
  if (mkdtemp(name.data()) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("run_dir ", path, " is not writable"));
  }
  sockets->private_path_ = name;
  return sockets;
}

SocketFolder::~SocketFolder() {
  for (const auto& [name, id] : in_place_) {
    const absl::StatusOr<bool> ours = InPlace(name);
    if (ours.ok() && *ours) unlink(absl::StrCat(path_, "/", name).c_str());
  }
  RemovePrivateFolder();
}

void SocketFolder::RemovePrivateFolder() {
  std::error_code error;
  // With a socket that could not be put in place.
  if (!private_path_.empty()) std::filesystem::remove_all(private_path_, error);
  private_path_.clear();
}

absl::StatusOr<std::string> SocketFolder::PrivatePath(const std::string& name) const {
  std::string path = absl::StrCat(private_path_, "/", name);
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("run_dir ", path_, " is too long for a socket's address"));
  }
  return path;
}

absl::Status SocketFolder::PutInPlace(const std::string& name, std::optional<gid_t> group) {
  const std::string from = absl::StrCat(private_path_, "/", name);
  const std::string to = absl::StrCat(path_, "/", name);
  if (group.has_value() && lchown(from.c_str(), static_cast<uid_t>(-1), *group) != 0) {
    return ErrnoStatus(errno, absl::StrCat("giving ", to, " to its group"));
  }
  struct stat made = {};
  if (chmod(from.c_str(), group.has_value() ? 0660 : 0600) != 0 ||
      lstat(from.c_str(), &made) != 0 || rename(from.c_str(), to.c_str()) != 0) {
    return ErrnoStatus(errno, to);
  }
  in_place_[name] = {made.st_dev, made.st_ino};
  return absl::OkStatus();
}

absl::StatusOr<bool> SocketFolder::InPlace(const std::string& name) const {
  const std::string path = absl::StrCat(path_, "/", name);
  const auto known = in_place_.find(name);
  struct stat found = {};
  if (lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return ErrnoStatus(errno, path);
  }
  if (known != in_place_.end() && known->second == FileId(found.st_dev, found.st_ino)) return true;
  return absl::FailedPreconditionError(
      absl::StrCat(path, " is not this agent's any more: remove it, or stop whoever made it"));
}

}  // namespace postern::control
