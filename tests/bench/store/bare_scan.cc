// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/store/bare_scan.h"

#include <memory>

#include "common/status.h"
#include "server/store/partition.h"
#include "server/store/sqlite.h"

namespace postern::bench {

using server::Database;
using server::Statement;

namespace {

constexpr int kColumns = 4;

}  // namespace

absl::StatusOr<int64_t> ScanBare(const std::string& catalog, const server::TimeWindow& window) {
  int64_t rows = 0;
  for (const int64_t number : server::PartitionFilesOf(catalog)) {
    ASSIGN_OR_RETURN(
        const std::unique_ptr<Database> database,
        Database::Open(server::PartitionFile(catalog, number), Database::Access::kRead));
    ASSIGN_OR_RETURN(const server::PartitionBounds bounds, server::ReadBounds(*database));
    if (!bounds.Touches(window)) continue;
    ASSIGN_OR_RETURN(Statement select,
                     database->Prepare("SELECT destination, attempts, time, length FROM events "
                                       "WHERE kind = 1 AND time >= ?1 AND time < ?2"));
    select.Bind(1, window.since);
    select.Bind(2, window.until);
    while (true) {
      ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) break;
      for (int column = 0; column < kColumns; ++column) select.Int(column);
      ++rows;
    }
  }
  return rows;
}

}  // namespace postern::bench
