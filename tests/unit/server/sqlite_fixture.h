// SPDX-License-Identifier: Apache-2.0
// What only a store of SQLite files has: the files.
#ifndef POSTERN_TESTS_UNIT_SERVER_SQLITE_FIXTURE_H_
#define POSTERN_TESTS_UNIT_SERVER_SQLITE_FIXTURE_H_

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <string>

#include "server/store/partition.h"
#include "tests/unit/server/sqlite_under_test.h"
#include "tests/unit/server/store_fixture.h"

namespace postern::server {

class SqliteTest : public StoreTest {
 protected:
  SqliteTest() : StoreTest(std::make_unique<SqliteUnderTest>()) {}

  SqliteUnderTest& sqlite() { return static_cast<SqliteUnderTest&>(*kind_); }
  std::string File() { return sqlite().File(); }
  std::string Part(int64_t number) { return PartitionFile(File(), number); }
  size_t CountParts() { return PartitionFilesOf(File()).size(); }

  // By hand, past the store.
  static void Sql(const std::string& file, const std::string& sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
  }

  // A file as a killed collector leaves it: with its log, as both are now.
  static void Copy(const std::string& from, const std::string& to) {
    constexpr auto kOver = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(from, to, kOver);
    std::filesystem::remove(to + "-shm");
    if (std::filesystem::exists(from + "-wal")) {
      std::filesystem::copy_file(from + "-wal", to + "-wal", kOver);
    } else {
      std::filesystem::remove(to + "-wal");
    }
  }
  // The same of the whole store; what lies at `to` goes first.
  static void CopyStore(const std::string& from, const std::string& to) {
    std::filesystem::remove_all(PartitionFolder(to));
    std::filesystem::create_directory(PartitionFolder(to));
    Copy(from, to);
    for (const int64_t number : PartitionFilesOf(from)) {
      Copy(PartitionFile(from, number), PartitionFile(to, number));
    }
  }
};

}  // namespace postern::server

#endif  // POSTERN_TESTS_UNIT_SERVER_SQLITE_FIXTURE_H_
