// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/lab.h"

#include <fcntl.h>
#include <mntent.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "common/status.h"

namespace postern::bench {
namespace {

absl::StatusOr<std::string> FindCgroupRoot() {
  const std::unique_ptr<FILE, int (*)(FILE*)> mounts(setmntent("/proc/self/mounts", "re"),
                                                     endmntent);
  if (mounts == nullptr) return ErrnoStatus(errno, "/proc/self/mounts");
  while (const mntent* entry = getmntent(mounts.get())) {
    if (strcmp(entry->mnt_type, "cgroup2") == 0) return std::string(entry->mnt_dir);
  }
  return absl::NotFoundError("cgroup v2 is not mounted");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Lab>> Lab::Create() {
  if (geteuid() != 0) return absl::PermissionDeniedError("the bench must be run as root");
  std::unique_ptr<Lab> lab(new Lab);
  ASSIGN_OR_RETURN(lab->cgroup_root_, FindCgroupRoot());
  std::string pattern = std::filesystem::temp_directory_path() / "postern-bench-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) return ErrnoStatus(errno, pattern);
  lab->folder_ = pattern;
  lab->host_netns_.reset(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (unshare(CLONE_NEWNET) != 0) return ErrnoStatus(errno, "cannot make a network namespace");
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  if (ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) return ErrnoStatus(errno, "lo");
  return lab;
}

Lab::~Lab() {
  std::error_code error;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, error);
}

}  // namespace postern::bench
