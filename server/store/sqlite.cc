// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite.h"

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/sqlite_crc.h"
#include "common/status.h"

namespace postern::server {
namespace {

// Readers and the writer never wait for each other in WAL mode; this is for the
// moments of recovery and of a checkpoint that restarts the log.
constexpr int kBusyTimeoutMs = 10'000;

absl::StatusCode CodeOf(int error) {
  switch (error & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
      return absl::StatusCode::kUnavailable;
    case SQLITE_INTERRUPT:
      return absl::StatusCode::kCancelled;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return absl::StatusCode::kPermissionDenied;
    case SQLITE_CANTOPEN:
      return absl::StatusCode::kNotFound;
    default:
      return absl::StatusCode::kInternal;
  }
}

// Whether `error` is for want of room, the index of a log being what SQLite needs a
// little of to read as well.
bool IsFull(int error, int system_error) {
  return (error & 0xff) == SQLITE_FULL || error == SQLITE_IOERR_SHMSIZE ||
         ((error & 0xff) == SQLITE_IOERR && (system_error == ENOSPC || system_error == EDQUOT));
}

absl::Status ErrorOf(sqlite3* database) {
  const char* name = sqlite3_db_filename(database, "main");
  const absl::string_view file = name == nullptr ? "database" : name;
  const int error = sqlite3_extended_errcode(database);
  if (IsFull(error, sqlite3_system_errno(database))) {
    return absl::ResourceExhaustedError(absl::StrCat(file, ": the disk is full (make room)"));
  }
  const absl::StatusCode code = CodeOf(error);
  const absl::string_view remedy = code == absl::StatusCode::kDataLoss
                                       ? " (move it away or restore a copy; it was not changed)"
                                       : "";
  return absl::Status(code, absl::StrCat(file, ": ", sqlite3_errmsg(database), remedy));
}

// As SQLite's URIs have it: '%', '?' and '#' are not themselves there.
std::string UriPath(absl::string_view path) {
  return absl::StrReplaceAll(path, {{"%", "%25"}, {"?", "%3f"}, {"#", "%23"}});
}

}  // namespace

void Statement::Bind(int parameter, int64_t value) {
  const int error = sqlite3_bind_int64(statement_.get(), parameter, value);
  if (bind_error_ == SQLITE_OK) bind_error_ = error;
}

void Statement::Bind(int parameter, absl::string_view text) {
  // A null pointer would bind NULL.
  const char* data = text.empty() ? "" : text.data();
  const int error = sqlite3_bind_text64(statement_.get(), parameter, data, text.size(),
                                        SQLITE_TRANSIENT, SQLITE_UTF8);
  if (bind_error_ == SQLITE_OK) bind_error_ = error;
}

void Statement::BindBlob(int parameter, absl::string_view bytes) {
  const char* data = bytes.empty() ? "" : bytes.data();
  const int error =
      sqlite3_bind_blob64(statement_.get(), parameter, data, bytes.size(), SQLITE_TRANSIENT);
  if (bind_error_ == SQLITE_OK) bind_error_ = error;
}

void Statement::BindNull(int parameter) {
  const int error = sqlite3_bind_null(statement_.get(), parameter);
  if (bind_error_ == SQLITE_OK) bind_error_ = error;
}

absl::StatusOr<bool> Statement::Step() {
  if (bind_error_ != SQLITE_OK) {
    return absl::InternalError(
        absl::StrCat("database: parameter refused: ", sqlite3_errstr(bind_error_)));
  }
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return ErrorOf(sqlite3_db_handle(statement_.get()));
  }
}

absl::Status Statement::Run() {
  bool row = true;
  while (row) {
    ASSIGN_OR_RETURN(row, Step());
  }
  return absl::OkStatus();
}

void Statement::Reset() {
  // Repeats the error that Step() has told already.
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  bind_error_ = SQLITE_OK;
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

bool Statement::IsInt(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_INTEGER;
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_.get(), column); }

absl::string_view Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (text == nullptr) return {};
  return {text, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

absl::string_view Statement::Blob(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path, Access access) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |= access == Access::kReadWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                        : SQLITE_OPEN_READONLY;
  std::string name = path;
  if (access == Access::kReadUnchanging) {
    flags |= SQLITE_OPEN_URI;
    name = absl::StrCat("file:", UriPath(path), "?immutable=1");
  }
  sqlite3* handle = nullptr;
  const int error = sqlite3_open_v2(name.c_str(), &handle, flags, nullptr);
  if (handle == nullptr) return absl::ResourceExhaustedError("out of memory");
  std::unique_ptr<Database> database(new Database(handle));
  if (error != SQLITE_OK) return ErrorOf(handle);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  if (AddCrcFunction(handle) != SQLITE_OK) return ErrorOf(handle);
  return database;
}

absl::StatusOr<std::unique_ptr<Database>> Database::OpenToRead(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Open(path, Access::kRead));
  // Reads the file for the first time.
  const absl::Status readable = database->Number("PRAGMA schema_version").status();
  if (!absl::IsResourceExhausted(readable)) {
    RETURN_IF_ERROR(readable);
    return database;
  }
  std::error_code error;
  const uintmax_t log_bytes = std::filesystem::file_size(absl::StrCat(path, "-wal"), error);
  if (!error && log_bytes > 0) return readable;
  return Open(path, Access::kReadUnchanging);
}

absl::Status Database::Execute(const std::string& sql) {
  const int error = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return error == SQLITE_OK ? absl::OkStatus() : ErrorOf(database_.get());
}

absl::StatusOr<Statement> Database::Prepare(absl::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int error = sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                       &statement, nullptr);
  if (error != SQLITE_OK) return ErrorOf(database_.get());
  return Statement(statement);
}

absl::StatusOr<int64_t> Database::Number(absl::string_view sql) {
  ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Int(0) : 0;
}

absl::StatusOr<Transaction> Transaction::Begin(Database& database, Kind kind) {
  RETURN_IF_ERROR(database.Execute(kind == Kind::kWrite ? "BEGIN IMMEDIATE" : "BEGIN"));
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  if (database_ == nullptr) return;
  // SQLite has rolled back by itself after some errors, and says so; then there
  // is nothing left to undo.
  database_->Execute("ROLLBACK").IgnoreError();
}

absl::Status Transaction::Commit() {
  RETURN_IF_ERROR(database_->Execute("COMMIT"));
  database_ = nullptr;
  return absl::OkStatus();
}

}  // namespace postern::server
