// SPDX-License-Identifier: Apache-2.0
// SQLite in our terms: one owner for each handle, absl::Status for each error.
// A Database and its statements belong to one thread at a time.
#ifndef POSTERN_SERVER_STORE_SQLITE_H_
#define POSTERN_SERVER_STORE_SQLITE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace postern::server {

// Outlived by its Database. Parameters count from 1, columns from 0. What Text()
// and Blob() return lives until the next Step() or Reset(); what is bound is
// copied.
class Statement {
 public:
  void Bind(int parameter, int64_t value);
  void Bind(int parameter, absl::string_view text);
  void BindBlob(int parameter, absl::string_view bytes);
  void BindNull(int parameter);

  // True: there is a row.
  absl::StatusOr<bool> Step();
  // Steps to the end; for statements without rows.
  absl::Status Run();
  // Forgets row and parameters.
  void Reset();

  bool IsNull(int column) const;
  bool IsInt(int column) const;
  int64_t Int(int column) const;
  absl::string_view Text(int column) const;
  absl::string_view Blob(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  // The first Bind() that failed, told by Step().
  int bind_error_ = SQLITE_OK;
};

class Database {
 public:
  // kReadUnchanging: nobody changes the file any more; it is read without locks
  // and without looking for a log beside it.
  enum class Access { kReadWrite, kRead, kReadUnchanging };

  // kReadWrite makes the file where it is missing. Its SQL knows crc(values…).
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path, Access access);
  // kRead; where the disk has no room for that, and no log says more than the file,
  // kReadUnchanging.
  static absl::StatusOr<std::unique_ptr<Database>> OpenToRead(const std::string& path);

  // One or more statements; rows are dropped.
  absl::Status Execute(const std::string& sql);
  absl::StatusOr<Statement> Prepare(absl::string_view sql);
  // The single integer that `sql` answers with.
  absl::StatusOr<int64_t> Number(absl::string_view sql);

  sqlite3* handle() const { return database_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  explicit Database(sqlite3* database) : database_(database) {}

  std::unique_ptr<sqlite3, Close> database_;
};

// Rolls back unless committed.
class Transaction {
 public:
  enum class Kind { kWrite, kRead };

  static absl::StatusOr<Transaction> Begin(Database& database, Kind kind);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  absl::Status Commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}

  Database* database_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_SQLITE_H_
