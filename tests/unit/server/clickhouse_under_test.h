// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_TESTS_UNIT_SERVER_CLICKHOUSE_UNDER_TEST_H_
#define POSTERN_TESTS_UNIT_SERVER_CLICKHOUSE_UNDER_TEST_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/store/clickhouse/clickhouse_store.h"
#include "tests/support/clickhouse_server.h"
#include "tests/unit/server/store_under_test.h"

namespace postern::server {

// The server of all tests of this program, started by the first that asks. A program
// without one fails: a test that cannot run says so.
support::ClickHouseServer& TheClickHouse();

// A database of its own, gone with it.
class ClickHouseUnderTest : public StoreUnderTest {
 public:
  ClickHouseUnderTest();
  ~ClickHouseUnderTest() override;

  absl::StatusOr<std::unique_ptr<EventStore>> Open(std::function<int64_t()> now,
                                                   absl::Duration retention) override;
  // One collector of several.
  absl::StatusOr<std::unique_ptr<ClickHouseStore>> OpenAs(const std::string& collector,
                                                          std::function<int64_t()> now,
                                                          absl::Duration retention);
  std::string Url() const { return TheClickHouse().Url(database); }
  // Runs a statement in the database, past the store.
  std::string Sql(const std::string& statement) const;

  std::string database;
};

}  // namespace postern::server

#endif  // POSTERN_TESTS_UNIT_SERVER_CLICKHOUSE_UNDER_TEST_H_
