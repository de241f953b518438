// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/pin_folder.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bpf/abi/base.h"
#include "common/log.h"
#include "common/status.h"
#include "common/steady_clock.h"

namespace postern::sensor {
namespace {

namespace fs = std::filesystem;

constexpr char kUsualBpffs[] = "/sys/fs/bpf";

bool IsBpffs(const std::string& path) {
  struct statfs found = {};
  return statfs(path.c_str(), &found) == 0 && found.f_type == BPF_FS_MAGIC;
}

absl::Status EnsureBpffs(const std::string& parent) {
  if (IsBpffs(parent)) return absl::OkStatus();
  if (parent != kUsualBpffs) {
    return absl::FailedPreconditionError(
        absl::StrCat(parent, " is not in a bpffs; mount one there (mount -t bpf -o mode=0700 bpf ",
                     parent, ") or set `bpffs:` to a folder below ", kUsualBpffs));
  }
  if (mkdir(parent.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("making ", parent));
  }
  if (mount("bpf", parent.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0) {
    return ErrnoStatus(
        errno, absl::StrCat("mounting a bpffs on ", parent, "; mount it by hand, or run as root"));
  }
  return absl::OkStatus();
}

// Makes `path` if it is missing; refuses what others could have made or can change.
absl::Status EnsureOwnFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("making ", path));
  }
  struct stat found = {};
  if (lstat(path.c_str(), &found) != 0) return ErrnoStatus(errno, path);
  const char* fault = nullptr;
  if (S_ISLNK(found.st_mode)) {
    fault = "is a symbolic link";
  } else if (!S_ISDIR(found.st_mode)) {
    fault = "is not a folder";
  } else if (found.st_uid != geteuid()) {
    fault = "belongs to another user";
  } else if ((found.st_mode & 0022) != 0) {
    fault = "is writable by others";
  }
  if (fault == nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the pin folder ", path, " ", fault,
                   ": whoever made it could switch enforcement off; remove it, or set `bpffs:`"));
}

// The kernel lets go of an unpinned link some time after.
constexpr absl::Duration kLettingGo = absl::Seconds(5);

// Ends what a link does at once. The links of trackers and of security hooks know
// no detaching (EOPNOTSUPP): the program of such a link is added to `lingering`.
void DetachLink(const fs::path& path, std::vector<uint32_t>& lingering) {
  const UniqueFd link(bpf_obj_get(path.c_str()));
  if (!link.valid() || bpf_link_detach(link.get()) == 0) return;
  bpf_link_info info = {};
  uint32_t bytes = sizeof(info);
  if (bpf_obj_get_info_by_fd(link.get(), &info, &bytes) == 0) lingering.push_back(info.prog_id);
}

bool IsLoaded(uint32_t program) { return UniqueFd(bpf_prog_get_fd_by_id(program)).valid(); }

// Until none of them can run any more; the programs are of no process.
void WaitUntilUnloaded(const std::vector<uint32_t>& programs) {
  const absl::Time deadline = SteadyNow() + kLettingGo;
  for (const uint32_t program : programs) {
    while (IsLoaded(program)) {
      if (SteadyNow() > deadline) {
        LogWarning("BPF program %d is unpinned and stays loaded: another process holds it",
                   program);
        return;
      }
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
}

absl::Status RemovePin(const fs::path& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("removing the pin ", path.string()));
}

// Links first: what still ran stops, some of it a moment later; gives the programs
// of which that is true.
absl::StatusOr<std::vector<uint32_t>> RemovePins(const fs::path& folder) {
  std::vector<uint32_t> lingering;
  std::error_code error;
  std::vector<fs::path> links, others, folders;
  for (fs::recursive_directory_iterator it(folder, error), end; it != end; it.increment(error)) {
    if (error) break;
    if (it->is_directory(error)) {
      folders.push_back(it->path());
    } else {
      (it->path().parent_path().filename() == "links" ? links : others).push_back(it->path());
    }
  }
  if (error) return ErrnoStatus(error.value(), absl::StrCat("listing ", folder.string()));
  for (const fs::path& link : links) {
    DetachLink(link, lingering);
    RETURN_IF_ERROR(RemovePin(link));
  }
  for (const fs::path& other : others) RETURN_IF_ERROR(RemovePin(other));
  return lingering;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PinFolder>> PinFolder::Open(const std::string& folder) {
  const fs::path path(folder);
  if (!path.is_absolute() || !path.has_filename() || path.lexically_normal() != path) {
    return absl::InvalidArgumentError(
        absl::StrCat("`bpffs:` is to be an absolute path without . and .., not ", folder));
  }
  if (path.filename().string().find('.') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("`bpffs:` is ", folder, ", and a bpffs takes no names with a dot in them"));
  }
  RETURN_IF_ERROR(EnsureBpffs(path.parent_path()));
  RETURN_IF_ERROR(EnsureOwnFolder(folder));
  UniqueFd lock(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!lock.valid()) return ErrnoStatus(errno, absl::StrCat("opening ", folder));
  if (!IsBpffs(folder)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the pin folder ", folder, " is not in a bpffs; remove it or set `bpffs:`"));
  }
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return absl::FailedPreconditionError(
          absl::StrCat("another posternd is running on ", folder, ": stop it first"));
    }
    return ErrnoStatus(errno, absl::StrCat("locking ", folder));
  }
  auto pins = absl::WrapUnique(new PinFolder(folder, std::move(lock)));
  RETURN_IF_ERROR(EnsureOwnFolder(pins->versioned_));
  RETURN_IF_ERROR(EnsureOwnFolder(pins->versioned_ + "/maps"));
  RETURN_IF_ERROR(EnsureOwnFolder(pins->versioned_ + "/links"));
  return pins;
}

PinFolder::PinFolder(std::string folder, UniqueFd lock)
    : folder_(std::move(folder)),
      versioned_(absl::StrFormat("%s/v%d", folder_, POSTERN_ABI_VERSION)),
      lock_(std::move(lock)) {}

PinFolder::~PinFolder() {
  if (keep_) return;
  // The programs may still be ours: nothing to wait for.
  if (const auto removed = RemovePins(versioned_); !removed.ok()) {
    LogWarning("%s", std::string(removed.status().message()));
    return;
  }
  std::error_code error;
  fs::remove_all(versioned_, error);
  // Unless another version has pins there.
  rmdir(folder_.c_str());
}

std::string PinFolder::MapPath(absl::string_view name) const {
  return absl::StrCat(versioned_, "/maps/", name);
}

std::string PinFolder::LinkPath(absl::string_view name) const {
  return absl::StrCat(versioned_, "/links/", name);
}

bool PinFolder::HasMap(absl::string_view name) const {
  return access(MapPath(name).c_str(), F_OK) == 0;
}

bool PinFolder::HasLink(absl::string_view name) const {
  return access(LinkPath(name).c_str(), F_OK) == 0;
}

absl::Status PinFolder::RenameLink(absl::string_view from, absl::string_view to) const {
  if (rename(LinkPath(from).c_str(), LinkPath(to).c_str()) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("putting the pin ", from, " in place of ", to));
}

absl::Status PinFolder::RemoveLink(absl::string_view name) const {
  return RemovePin(LinkPath(name));
}

absl::Status PinFolder::RemoveOtherVersions() const {
  std::error_code error;
  std::vector<fs::path> others;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    if (it->path() != versioned_) others.push_back(it->path());
  }
  if (error) return ErrnoStatus(error.value(), absl::StrCat("listing ", folder_));
  for (const fs::path& other : others) {
    RETURN_IF_ERROR(RemovePins(other).status());
    fs::remove_all(other, error);
    if (error) return ErrnoStatus(error.value(), absl::StrCat("removing ", other.string()));
    LogInfo(
        "took over from the version that had its pins in %s; what ran before counts as not "
        "seen to start",
        other.string());
  }
  return absl::OkStatus();
}

absl::Status PinFolder::Clear() const {
  ASSIGN_OR_RETURN(const std::vector<uint32_t> lingering, RemovePins(folder_));
  WaitUntilUnloaded(lingering);
  return absl::OkStatus();
}

absl::Status PinFolder::Remove() const {
  RETURN_IF_ERROR(Clear());
  std::error_code error;
  fs::remove_all(folder_, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("removing ", folder_));
  return absl::OkStatus();
}

bool HasAgent(const std::string& folder) {
  struct stat found = {};
  if (stat(folder.c_str(), &found) != 0) return false;
  // proc(5): number: kind mode access pid major:minor:inode start end
  const std::string file =
      absl::StrFormat("%02x:%02x:%d", major(found.st_dev), minor(found.st_dev), found.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (fields.size() > 5 && fields[1] == "FLOCK" && fields[5] == file) return true;
  }
  return false;
}

}  // namespace postern::sensor
