// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/host.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::policy {
namespace {

// A group with very many members needs more than one page; past this the name
// service is at fault.
constexpr size_t kAccountBytesMax = 16 << 20;

// `lookup` is getpwnam_r or getgrnam_r, `Entry` what it fills.
template <typename Entry, typename Lookup>
absl::StatusOr<Entry> FindAccount(const std::string& name, Lookup lookup) {
  if (name.find('\0') != std::string::npos) return absl::NotFoundError("no such account");
  std::vector<char> buffer(4096);
  while (true) {
    Entry entry = {};
    Entry* found = nullptr;
    const int error = lookup(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (error == ERANGE && buffer.size() < kAccountBytesMax) {
      buffer.resize(buffer.size() * 2);
      continue;
    }
    if (error == EINTR) continue;
    if (found != nullptr) return entry;
    // getpwnam(3): which errors mean "not there" differs by name service.
    if (error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM) {
      return absl::NotFoundError("no such account");
    }
    return ErrnoStatus(error, "the name service");
  }
}

// NFS and SMB also refuse a lease where their server gave none (fs/nfs/nfs4proc.c,
// fs/smb/client/cifsfs.c); who writes there is not known.
bool KnowsWriters(const UniqueFd& file) {
  struct statfs system = {};
  if (fstatfs(file.get(), &system) != 0) return false;
  switch (static_cast<uint32_t>(system.f_type)) {
    case NFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
      return false;
    default:
      return true;
  }
}

class SystemHost : public Host {
 public:
  absl::StatusOr<uint32_t> UserId(const std::string& name) const override {
    ASSIGN_OR_RETURN(const passwd entry, FindAccount<passwd>(name, getpwnam_r));
    return entry.pw_uid;
  }

  absl::StatusOr<uint32_t> GroupId(const std::string& name) const override {
    ASSIGN_OR_RETURN(const group entry, FindAccount<group>(name, getgrnam_r));
    return entry.gr_gid;
  }

  absl::StatusOr<FileState> Look(const std::string& path) const override {
    struct stat state = {};
    if (lstat(path.c_str(), &state) != 0) return ErrnoStatus(errno, path);
    return FileState{state.st_mode, state.st_uid};
  }

  absl::StatusOr<std::string> ReadLink(const std::string& path) const override {
    std::string target(PATH_MAX, '\0');
    const ssize_t length = readlink(path.c_str(), target.data(), target.size());
    if (length < 0) return ErrnoStatus(errno, path);
    target.resize(static_cast<size_t>(length));
    return target;
  }

  absl::StatusOr<std::string> ReadStart(const std::string& path, size_t bytes) const override {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd.valid()) return ErrnoStatus(errno, path);
    std::string start(bytes, '\0');
    const ssize_t length = pread(fd.get(), start.data(), start.size(), 0);
    if (length < 0) return ErrnoStatus(errno, path);
    start.resize(static_cast<size_t>(length));
    return start;
  }

  bool IsBeingWritten(const std::string& path) const override {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    // Who wants to write while the lease is held has us signalled, by SIGIO if we did
    // not choose, which would end this process. SIGURG is ignored.
    if (!fd.valid() || fcntl(fd.get(), F_SETSIG, SIGURG) != 0) return false;
    // fcntl(2): granted only while nobody has the file open for writing.
    if (fcntl(fd.get(), F_SETLEASE, F_RDLCK) != 0) return errno == EAGAIN && KnowsWriters(fd);
    fcntl(fd.get(), F_SETLEASE, F_UNLCK);
    return false;
  }
};

}  // namespace

std::unique_ptr<Host> RealHost() { return std::make_unique<SystemHost>(); }

}  // namespace postern::policy
