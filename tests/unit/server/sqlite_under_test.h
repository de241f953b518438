// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_TESTS_UNIT_SERVER_SQLITE_UNDER_TEST_H_
#define POSTERN_TESTS_UNIT_SERVER_SQLITE_UNDER_TEST_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/store/sqlite_store.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/server/store_under_test.h"

namespace postern::server {

class SqliteUnderTest : public StoreUnderTest {
 public:
  absl::StatusOr<std::unique_ptr<EventStore>> Open(std::function<int64_t()> now,
                                                   absl::Duration retention) override {
    SqliteStoreOptions options;
    options.path = File();
    options.now = std::move(now);
    options.retention = retention;
    options.partitions = limits;
    return SqliteStore::Open(std::move(options));
  }

  std::string File() const { return folder / "events.db"; }

  TemporaryFolder folder;
  PartitionLimits limits;
};

// Begins a new partition every few events: whatever holds for one has to hold for
// many.
class SqliteInPiecesUnderTest : public SqliteUnderTest {
 public:
  SqliteInPiecesUnderTest() { limits.events = 3; }
};

}  // namespace postern::server

#endif  // POSTERN_TESTS_UNIT_SERVER_SQLITE_UNDER_TEST_H_
