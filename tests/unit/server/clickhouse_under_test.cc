// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/server/clickhouse_under_test.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/temporary_folder.h"

namespace postern::server {
namespace {

struct Running {
  TemporaryFolder folder;
  std::unique_ptr<support::ClickHouseServer> server;
};

Running* running = nullptr;

// Ends the server behind the last test.
class EndOfClickHouse : public testing::Environment {
 public:
  void TearDown() override { delete std::exchange(running, nullptr); }
};
[[maybe_unused]] const testing::Environment* const end_of_clickhouse =
    testing::AddGlobalTestEnvironment(new EndOfClickHouse);

}  // namespace

support::ClickHouseServer& TheClickHouse() {
  if (running == nullptr) {
    running = new Running;
    absl::StatusOr<std::unique_ptr<support::ClickHouseServer>> server =
        support::ClickHouseServer::Start(running->folder.path());
    if (!server.ok()) {
      fprintf(stderr, "%s\n", std::string(server.status().message()).c_str());
      exit(1);
    }
    running->server = *std::move(server);
  }
  return *running->server;
}

ClickHouseUnderTest::ClickHouseUnderTest() {
  static std::atomic<int> next{0};
  database = absl::StrCat("postern_test_", ++next);
  TheClickHouse();
}

ClickHouseUnderTest::~ClickHouseUnderTest() {
  TheClickHouse().Ask(absl::StrCat("DROP DATABASE IF EXISTS ", database));
}

absl::StatusOr<std::unique_ptr<EventStore>> ClickHouseUnderTest::Open(std::function<int64_t()> now,
                                                                      absl::Duration retention) {
  return OpenAs("collector", std::move(now), retention);
}

absl::StatusOr<std::unique_ptr<ClickHouseStore>> ClickHouseUnderTest::OpenAs(
    const std::string& collector, std::function<int64_t()> now, absl::Duration retention) {
  ClickHouseStoreOptions options;
  options.address = clickhouse::ParseServerAddress(Url()).value();
  options.name = collector;
  options.now = std::move(now);
  options.retention = retention;
  return ClickHouseStore::Open(std::move(options));
}

std::string ClickHouseUnderTest::Sql(const std::string& statement) const {
  return TheClickHouse().Ask(statement, database);
}

std::vector<StoreKind> StoresUnderTest() {
  return {{"ClickHouse", []() -> std::unique_ptr<StoreUnderTest> {
             return std::make_unique<ClickHouseUnderTest>();
           }}};
}

}  // namespace postern::server
