// SPDX-License-Identifier: Apache-2.0
#include "server/store/partition.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/status.h"
#include "common/steady_clock.h"
#include "common/unique_fd.h"
#include "server/store/schema.h"

namespace postern::server {
namespace {

// A database begins with this (SQLite's file format, 1.3).
constexpr char kMagic[16] = "SQLite format 3";

// synchronous = FULL: what was acknowledged survives a power cut; in WAL mode
// NORMAL would not sync at a commit. The indexes are written all over: a log of
// 32 MiB before it is folded into the file writes their pages once for many
// batches. Pages of a thousand hosts' places in an index stay in memory.
constexpr const char* kWriterSettings =
    "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 8192; "
    "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -65536; "
    "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = 0";

constexpr const char* kReaderSettings =
    "PRAGMA query_only = 1; PRAGMA cache_size = -2048; PRAGMA trusted_schema = 0";

// Steps of SQLite's machine between two looks at the clock.
constexpr int kStepsBetweenLooks = 10'000;

std::string FileName(int64_t number) { return absl::StrFormat("%08d.db", number); }

int PastDeadline(void* deadline) {
  return SteadyNow() > *static_cast<const absl::Time*>(deadline) ? 1 : 0;
}

absl::Status DamageOf(Database& partition, absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat(sqlite3_db_filename(partition.handle(), "main"), ": ", what));
}

// First of the trees, then of each row's place in the indexes.
absl::Status CheckStructure(Database& partition) {
  ASSIGN_OR_RETURN(Statement check, partition.Prepare("PRAGMA integrity_check(1)"));
  ASSIGN_OR_RETURN(const bool row, check.Step());
  return !row || check.Text(0) == "ok" ? absl::OkStatus() : DamageOf(partition, check.Text(0));
}

// Those that were written last come first.
absl::Status CheckRows(Database& partition) {
  const struct {
    const char* table;
    const char* sound;
  } kTables[] = {{"hosts h", kSoundHost}, {"traits t", kSoundTraits}, {"events e", kSoundEvent}};
  for (const auto& [table, sound] : kTables) {
    ASSIGN_OR_RETURN(const int64_t damaged,
                     partition.Number(absl::StrCat("SELECT 1 FROM ", table, " WHERE NOT (", sound,
                                                   ") ORDER BY id DESC LIMIT 1")));
    if (damaged != 0) return DamageOf(partition, "its rows are not what was written");
  }
  return absl::OkStatus();
}

}  // namespace

void PartitionBounds::Add(const EventRow& row, int64_t now) {
  first = std::min(first, row.time);
  newest = std::max(newest, row.time);
  last = std::max(last, row.last_time);
  ended = std::max(ended, std::min(row.last_time, now));
  spans |= int64_t{1} << row.span;
  ++events;
}

bool PartitionBounds::Holds(const PartitionBounds& other) const {
  return first <= other.first && newest >= other.newest && last >= other.last &&
         ended >= other.ended && events >= other.events && (spans & other.spans) == other.spans;
}

std::string PartitionFolder(const std::string& catalog) { return absl::StrCat(catalog, ".d"); }

std::string PartitionFile(const std::string& catalog, int64_t number) {
  return absl::StrCat(PartitionFolder(catalog), "/", FileName(number));
}

absl::Status MakePartitionFolder(const std::string& catalog) {
  const std::string folder = PartitionFolder(catalog);
  if (mkdir(folder.c_str(), 0700) != 0) {
    return errno == EEXIST ? absl::OkStatus() : ErrnoStatus(errno, folder);
  }
  // A umask that is meant for files takes the right to search it.
  if (chmod(folder.c_str(), 0700) != 0) return ErrnoStatus(errno, folder);
  return absl::OkStatus();
}

absl::Status MakePrivateFile(const std::string& file) {
  const UniqueFd fd(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  return fd.valid() ? absl::OkStatus() : ErrnoStatus(errno, file);
}

std::vector<int64_t> PartitionFilesOf(const std::string& catalog) {
  std::vector<int64_t> numbers;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(PartitionFolder(catalog), error)) {
    const std::string name = entry.path().filename();
    absl::string_view text = name;
    int64_t number = 0;
    if (absl::ConsumeSuffix(&text, ".db") && absl::SimpleAtoi(text, &number) &&
        name == FileName(number)) {
      numbers.push_back(number);
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

absl::Status RemovePartitionFile(const std::string& file) {
  for (const char* part : {"", "-wal", "-shm"}) {
    const std::string name = absl::StrCat(file, part);
    if (unlink(name.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, name);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SetAsidePartitionFile(const std::string& file) {
  struct stat status = {};
  std::string name;
  for (int i = 1; name.empty() || lstat(name.c_str(), &status) == 0; ++i) {
    name = absl::StrCat(file, ".damaged-", i);
  }
  for (const char* part : {"-wal", ""}) {
    const std::string from = absl::StrCat(file, part);
    if (rename(from.c_str(), absl::StrCat(name, part).c_str()) != 0 && errno != ENOENT) {
      return ErrnoStatus(errno, from);
    }
  }
  const std::string shared = absl::StrCat(file, "-shm");
  if (unlink(shared.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, shared);
  return name;
}

absl::Status SyncFolder(const std::string& folder) {
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) return ErrnoStatus(errno, folder);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Database>> OpenPartitionToWrite(const std::string& file) {
  RETURN_IF_ERROR(MakePrivateFile(file));
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                   Database::Open(file, Database::Access::kReadWrite));
  RETURN_IF_ERROR(PreparePartition(*database));
  RETURN_IF_ERROR(database->Execute(kWriterSettings));
  return database;
}

absl::StatusOr<std::unique_ptr<Database>> OpenPartitionToRead(const std::string& file,
                                                              PartitionState state) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                   state == PartitionState::kSealed
                       ? Database::Open(file, Database::Access::kReadUnchanging)
                       : Database::OpenToRead(file));
  RETURN_IF_ERROR(database->Execute(kReaderSettings));
  RETURN_IF_ERROR(CheckPartitionTables(*database));
  return database;
}

absl::StatusOr<PartitionBounds> ReadBounds(Database& partition) {
  ASSIGN_OR_RETURN(Statement select,
                   partition.Prepare("SELECT first, newest, last, ended, spans, events, "
                                     "summarized, crc <> crc(first, newest, last, ended, spans, "
                                     "events, summarized) FROM bounds"));
  ASSIGN_OR_RETURN(const bool row, select.Step());
  if (!row || select.Int(7) != 0) {
    return absl::DataLossError(absl::StrCat(sqlite3_db_filename(partition.handle(), "main"),
                                            ": its bounds are not what was written"));
  }
  return PartitionBounds{select.Int(0), select.Int(1), select.Int(2), select.Int(3),
                         select.Int(4), select.Int(5), select.Int(6)};
}

absl::StatusOr<std::string> FirstEventOf(Database& partition) {
  ASSIGN_OR_RETURN(
      Statement select,
      partition.Prepare("SELECT time, length, crc, body FROM events ORDER BY id LIMIT 1"));
  ASSIGN_OR_RETURN(const bool row, select.Step());
  if (!row) return std::string();
  return absl::StrCat(select.Int(0), " ", select.Int(1), " ", select.Int(2), " ", select.Blob(3));
}

absl::Status CheckPartition(Database& partition, absl::Duration limit) {
  absl::Time deadline = SteadyNow() + limit / 2;
  sqlite3_progress_handler(partition.handle(), kStepsBetweenLooks, &PastDeadline, &deadline);
  absl::Status checked = CheckStructure(partition);
  deadline += limit / 2;
  if (checked.ok() || absl::IsCancelled(checked)) checked = CheckRows(partition);
  sqlite3_progress_handler(partition.handle(), 0, nullptr, nullptr);
  return absl::IsCancelled(checked) ? absl::OkStatus() : checked;
}

absl::Status CheckSealed(const std::string& file, const Partition& listed) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return ErrnoStatus(errno, file);
  struct stat status = {};
  char magic[sizeof(kMagic)] = {};
  if (fstat(fd.get(), &status) != 0) return ErrnoStatus(errno, file);
  if (status.st_size != listed.bytes) {
    return absl::DataLossError(
        absl::StrCat(file, ": has ", status.st_size, " bytes, had ", listed.bytes));
  }
  if (pread(fd.get(), magic, sizeof(magic), 0) != sizeof(magic) ||
      memcmp(magic, kMagic, sizeof(kMagic)) != 0) {
    return absl::DataLossError(absl::StrCat(file, ": is not a database"));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<Database> database,
                   OpenPartitionToRead(file, PartitionState::kSealed));
  ASSIGN_OR_RETURN(const PartitionBounds held, ReadBounds(*database));
  if (!held.Holds(listed.bounds) || !listed.bounds.Holds(held)) {
    return absl::DataLossError(absl::StrCat(file, ": holds other events than were sealed in it"));
  }
  return absl::OkStatus();
}

absl::Status Summarize(Database& partition, PartitionBounds& bounds) {
  ASSIGN_OR_RETURN(const int64_t newest,
                   partition.Number("SELECT coalesce(max(id), 0) FROM events"));
  if (newest == bounds.summarized) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      Statement add,
      partition.Prepare("INSERT INTO summaries SELECT time / ?3, host, traits, kind, verdict, "
                        "port, sum(attempts), min(time), max(time + length) FROM events "
                        "WHERE id > ?1 AND id <= ?2 AND kind <> 2 GROUP BY 1, 2, 3, 4, 5, 6 "
                        "ON CONFLICT DO UPDATE SET attempts = attempts + excluded.attempts, "
                        "first = min(first, excluded.first), last = max(last, excluded.last)"));
  add.Bind(1, bounds.summarized);
  add.Bind(2, newest);
  add.Bind(3, kSummaryNs);
  RETURN_IF_ERROR(add.Run());
  bounds.summarized = newest;
  return absl::OkStatus();
}

}  // namespace postern::server
