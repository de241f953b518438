// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/sqlite_crc.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::spool {
namespace {

absl::Status SqliteStatus(sqlite3* handle, int code) {
  const char* file = sqlite3_db_filename(handle, "main");
  const std::string message =
      absl::StrCat(file == nullptr ? "spool" : file, ": ", sqlite3_errmsg(handle));
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_FORMAT:
      return absl::DataLossError(message);
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(message);
    default:
      return absl::InternalError(message);
  }
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

absl::StatusOr<bool> Statement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    Reset();
    return false;
  }
  absl::Status status = SqliteStatus(sqlite3_db_handle(statement_.get()), code);
  Reset();
  return status;
}

absl::Status Statement::Run() {
  bool more = true;
  while (more) {
    ASSIGN_OR_RETURN(more, Step());
  }
  return absl::OkStatus();
}

void Statement::Reset() { sqlite3_reset(statement_.get()); }

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_.get(), column); }

absl::string_view Statement::Bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return data == nullptr ? absl::string_view() : absl::string_view(data, static_cast<size_t>(size));
}

// Binding fails only for an index that the statement does not have.
void Statement::BindAt(int index, int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
}
void Statement::BindAt(int index, absl::string_view text) {
  sqlite3_bind_text(statement_.get(), index, text.data(), static_cast<int>(text.size()),
                    SQLITE_STATIC);
}
void Statement::BindAt(int index, const BlobView& blob) {
  // A null pointer would bind NULL.
  sqlite3_bind_blob(statement_.get(), index, blob.bytes.empty() ? "" : blob.bytes.data(),
                    static_cast<int>(blob.bytes.size()), SQLITE_STATIC);
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  // SQLite would make it readable by all; its journal files take the mode over.
  UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return ErrnoStatus(errno, path);
  // Closing any descriptor of a file drops the locks that SQLite will hold on it.
  file.reset();
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(path, handle));
  if (code != SQLITE_OK) {
    return handle == nullptr ? absl::ResourceExhaustedError(absl::StrCat(path, ": no memory"))
                             : SqliteStatus(handle, code);
  }
  sqlite3_extended_result_codes(handle, 1);
  const int made = AddCrcFunction(handle);
  if (made != SQLITE_OK) return SqliteStatus(handle, made);
  return database;
}

absl::Status Database::Execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : SqliteStatus(handle_.get(), code);
}

absl::StatusOr<Statement> Database::Prepare(absl::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return SqliteStatus(handle_.get(), code);
  return Statement(statement);
}

absl::StatusOr<int64_t> Database::Number(absl::string_view sql) {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  return found ? statement.Int(0) : 0;
}

absl::StatusOr<int64_t> Database::FileBytes() const {
  struct stat file = {};
  if (stat(path_.c_str(), &file) != 0) return ErrnoStatus(errno, path_);
  return file.st_size;
}

int64_t Database::changes() const { return sqlite3_changes64(handle_.get()); }

Transaction::~Transaction() {
  // Fails only where SQLite has rolled back by itself.
  if (open_) database_.Execute("ROLLBACK").IgnoreError();
}

absl::Status Transaction::Begin() {
  RETURN_IF_ERROR(database_.Execute("BEGIN IMMEDIATE"));
  open_ = true;
  return absl::OkStatus();
}

absl::Status Transaction::Commit() {
  RETURN_IF_ERROR(database_.Execute("COMMIT"));
  open_ = false;
  return absl::OkStatus();
}

}  // namespace postern::spool
