// SPDX-License-Identifier: Apache-2.0
#include "server/store/backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/unique_fd.h"
#include "server/store/catalog.h"
#include "server/store/partition.h"
#include "server/store/schema.h"
#include "server/store/sqlite.h"

namespace postern::server {
namespace {

// Retention may drop a partition while it is copied; then it is begun anew.
constexpr int kTries = 3;

bool Exists(const std::string& file) {
  struct stat status = {};
  return lstat(file.c_str(), &status) == 0;
}

// One state of a database that others write to.
absl::Status CopyDatabase(const std::string& from, const std::string& to) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Database> source,
                   Database::Open(from, Database::Access::kRead));
  // What keeps it from being read, like a full disk, is not the copy's.
  RETURN_IF_ERROR(source->Number("PRAGMA schema_version").status());
  RETURN_IF_ERROR(MakePrivateFile(to));
  ASSIGN_OR_RETURN(const std::unique_ptr<Database> copy,
                   Database::Open(to, Database::Access::kReadWrite));
  sqlite3_backup* backup = sqlite3_backup_init(copy->handle(), "main", source->handle(), "main");
  if (backup == nullptr) return copy->Execute("SELECT 1 FROM nothing");
  // All pages in one step: between steps a writer could make it begin anew.
  sqlite3_backup_step(backup, -1);
  const int error = sqlite3_backup_finish(backup);
  if (error == SQLITE_OK) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(from, ": could not be copied to ", to, ": ", sqlite3_errstr(error)));
}

// Of a file that does not change.
absl::Status CopyFile(const std::string& from, const std::string& to, int64_t bytes) {
  const UniqueFd in(open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!in.valid()) return ErrnoStatus(errno, from);
  const UniqueFd out(open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!out.valid()) return ErrnoStatus(errno, to);
  int64_t copied = 0;
  while (true) {
    // Shares the blocks where the file system can.
    const ssize_t count =
        copy_file_range(in.get(), nullptr, out.get(), nullptr, size_t{1} << 30, 0);
    if (count < 0) return ErrnoStatus(errno, to);
    if (count == 0) break;
    copied += count;
  }
  if (copied != bytes) {
    return absl::DataLossError(absl::StrCat(from, ": has ", copied, " bytes, had ", bytes));
  }
  if (fsync(out.get()) != 0) return ErrnoStatus(errno, to);
  return absl::OkStatus();
}

// The copy of the catalog says that what came from now on is in a partition that
// is not there.
absl::Status NoteTheEnd(Database& catalog, int64_t last_number, int64_t now) {
  Partition later;
  later.number = last_number + 1;
  later.created = now;
  ASSIGN_OR_RETURN(Transaction transaction, BeginDurable(catalog));
  RETURN_IF_ERROR(PutPartition(catalog, later));
  return transaction.Commit();
}

absl::Status CopyAll(const std::string& path, const std::string& target, int64_t now) {
  RETURN_IF_ERROR(MakePartitionFolder(target));
  const std::string folder = PartitionFolder(target);
  const std::string partial = folder + "/catalog";
  // The catalog first: what the partitions then have beyond it, it is made to know
  // when the copy is opened, as after a crash.
  RETURN_IF_ERROR(CopyDatabase(path, partial));
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<Database> catalog,
                     Database::Open(partial, Database::Access::kReadWrite));
    ASSIGN_OR_RETURN(const int64_t version, catalog->Number("PRAGMA user_version"));
    if (version != kSchemaVersion) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": is of schema ", version, ", this postern-collector backs up ",
                       kSchemaVersion, "; start the collector of this version on it first"));
    }
    ASSIGN_OR_RETURN(const std::vector<Partition> partitions, PartitionsOf(*catalog));
    for (const Partition& partition : partitions) {
      const std::string from = PartitionFile(path, partition.number);
      const std::string to = PartitionFile(target, partition.number);
      if (partition.state == PartitionState::kSealed) {
        RETURN_IF_ERROR(CopyFile(from, to, partition.bytes));
      } else if (partition.state == PartitionState::kOpen) {
        RETURN_IF_ERROR(CopyDatabase(from, to));
      }
    }
    const int64_t last = partitions.empty() ? 0 : partitions.back().number;
    RETURN_IF_ERROR(NoteTheEnd(*catalog, last, now));
  }
  RETURN_IF_ERROR(SyncFolder(folder));
  if (rename(partial.c_str(), target.c_str()) != 0) return ErrnoStatus(errno, target);
  const std::string parent = std::filesystem::absolute(target).parent_path();
  return SyncFolder(parent);
}

}  // namespace

absl::Status BackUp(const std::string& path, const std::string& target, int64_t now) {
  if (!Exists(path)) {
    return absl::NotFoundError(absl::StrCat(path, ": there is no store to back up"));
  }
  for (const std::string& made : {target, PartitionFolder(target)}) {
    if (Exists(made)) {
      return absl::AlreadyExistsError(
          absl::StrCat(made, ": is there already; name a file that is not, or remove it"));
    }
  }
  absl::Status status;
  for (int i = 0; i < kTries; ++i) {
    status = CopyAll(path, target, now);
    if (status.ok()) return status;
    std::error_code ignored;
    std::filesystem::remove(target, ignored);
    std::filesystem::remove_all(PartitionFolder(target), ignored);
    if (!absl::IsNotFound(status)) break;
  }
  return status;
}

}  // namespace postern::server
