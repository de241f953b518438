// SPDX-License-Identifier: Apache-2.0
#include "server/open_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status.h"
#include "common/unique_fd.h"
#include "server/run_directory.h"
#include "server/store/clickhouse/clickhouse_store.h"
#include "server/store/sqlite_store.h"

namespace postern::server {
namespace {

constexpr size_t kMaxPasswordBytes = 1024;

// SQLite would not say that it is the folder of the store's file that is missing.
absl::Status CheckParent(const std::string& path) {
  const std::string parent = path.substr(0, path.rfind('/') + 1);
  struct stat status = {};
  if (stat(parent.c_str(), &status) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("'store' wants its folder ", parent,
                                         " to be there: make it, or correct the path"));
}

// The file's first line.
absl::StatusOr<std::string> ReadPassword(const std::string& file) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status = {};
  if (!fd.valid() || fstat(fd.get(), &status) != 0) {
    return ErrnoStatus(errno, absl::StrCat("'store_password_file' ", file));
  }
  if (!S_ISREG(status.st_mode) || (status.st_mode & S_IRWXO) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "'store_password_file' ", file, " is no file, or open to everybody: chmod o= ", file));
  }
  std::array<char, kMaxPasswordBytes> bytes;
  const ssize_t size = read(fd.get(), bytes.data(), bytes.size());
  if (size < 0) return ErrnoStatus(errno, absl::StrCat("'store_password_file' ", file));
  std::string password(bytes.data(), static_cast<size_t>(size));
  password.resize(std::min(password.find_first_of("\r\n"), password.size()));
  return password;
}

// This collector's among those that share a database: a machine runs one per run_dir.
std::string NameOf(const CollectorConfig& config) {
  std::array<char, 256> machine = {};
  if (gethostname(machine.data(), machine.size() - 1) != 0) machine[0] = '\0';
  return absl::StrCat(machine.data(), ":", config.run_dir);
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventStore>> OpenStore(const CollectorConfig& config) {
  const auto now = [] { return absl::GetCurrentTimeNanos(); };
  if (config.clickhouse) {
    ClickHouseStoreOptions options;
    options.address = *config.clickhouse;
    if (!config.store_password_file.empty()) {
      ASSIGN_OR_RETURN(options.address.password, ReadPassword(config.store_password_file));
    }
    options.name = NameOf(config);
    options.retention = config.retention;
    options.now = now;
    return ClickHouseStore::Open(std::move(options));
  }
  RETURN_IF_ERROR(CheckParent(config.sqlite_path));
  SqliteStoreOptions options;
  options.path = config.sqlite_path;
  options.retention = config.retention;
  options.now = now;
  PrivateUmask umask;
  return SqliteStore::Open(std::move(options));
}

}  // namespace postern::server
