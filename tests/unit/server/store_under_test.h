// SPDX-License-Identifier: Apache-2.0
// The kinds of stores that the contract of EventStore is tested with. A further
// kind adds itself to kStores and has all of its tests.
#ifndef POSTERN_TESTS_UNIT_SERVER_STORE_UNDER_TEST_H_
#define POSTERN_TESTS_UNIT_SERVER_STORE_UNDER_TEST_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/store/event_store.h"
#include "server/store/sqlite_store.h"
#include "tests/unit/server/temporary_folder.h"

namespace postern::server {

// Where one test's events are, gone with it.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;

  // With what was stored there before; one at a time.
  virtual absl::StatusOr<std::unique_ptr<EventStore>> Open(std::function<int64_t()> now,
                                                           absl::Duration retention) = 0;
};

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

  std::string File() const { return folder.File("events.db"); }

  TemporaryFolder folder;
  PartitionLimits limits;
};

// Begins a new partition every few events: whatever holds for one has to hold for
// many.
class SqliteInPiecesUnderTest : public SqliteUnderTest {
 public:
  SqliteInPiecesUnderTest() { limits.events = 3; }
};

struct StoreKind {
  const char* name;
  std::unique_ptr<StoreUnderTest> (*make)();

  friend void PrintTo(const StoreKind& kind, std::ostream* out) { *out << kind.name; }
};

inline constexpr StoreKind kStores[] = {
    {"Sqlite",
     []() -> std::unique_ptr<StoreUnderTest> { return std::make_unique<SqliteUnderTest>(); }},
    {"SqliteInPieces",
     []() -> std::unique_ptr<StoreUnderTest> {
       return std::make_unique<SqliteInPiecesUnderTest>();
     }},
};

}  // namespace postern::server

#endif  // POSTERN_TESTS_UNIT_SERVER_STORE_UNDER_TEST_H_
