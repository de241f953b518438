// SPDX-License-Identifier: Apache-2.0
// A SQLite connection and its statements, with owners and absl::Status.
//
// Not thread-safe: whoever owns a Database guards it.
// Errors: DataLoss where the file is damaged or no database, ResourceExhausted
// where the disk is full, Unavailable where it cannot be read or written.
#ifndef POSTERN_AGENT_SPOOL_DATABASE_H_
#define POSTERN_AGENT_SPOOL_DATABASE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct sqlite3;
struct sqlite3_stmt;

namespace postern::spool {

struct BlobView {
  absl::string_view bytes;
};

class Statement {
 public:
  Statement() = default;

  // Prepares anew and binds in order. Texts and blobs are not copied: they must
  // live until the last Step().
  template <typename... Values>
  Statement& Bind(const Values&... values) {
    Reset();
    int index = 0;
    (BindAt(++index, values), ...);
    return *this;
  }

  // False when there is no further row; columns are valid until the next call.
  absl::StatusOr<bool> Step();
  // Steps to the end and resets.
  absl::Status Run();
  // Ends a read that was not stepped to its end.
  void Reset();

  int64_t Int(int column) const;
  absl::string_view Bytes(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  void BindAt(int index, int64_t value);
  void BindAt(int index, uint64_t value) { BindAt(index, static_cast<int64_t>(value)); }
  void BindAt(int index, int value) { BindAt(index, int64_t{value}); }
  void BindAt(int index, absl::string_view text);
  void BindAt(int index, const std::string& text) { BindAt(index, absl::string_view(text)); }
  void BindAt(int index, const BlobView& blob);

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  // Opens or creates (0600). Its SQL knows crc(values…), the CRC-32 of ITU-T V.42
  // over what they are bound as.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);

  absl::Status Execute(const std::string& sql);
  absl::StatusOr<Statement> Prepare(absl::string_view sql);
  // Of a statement that yields one number; 0 where it yields none.
  absl::StatusOr<int64_t> Number(absl::string_view sql);
  // Of the file itself, without its log.
  absl::StatusOr<int64_t> FileBytes() const;
  int64_t changes() const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}

  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

// Rolls back what was not committed.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  absl::Status Begin();
  absl::Status Commit();

 private:
  Database& database_;
  bool open_ = false;
};

}  // namespace postern::spool

#endif  // POSTERN_AGENT_SPOOL_DATABASE_H_
