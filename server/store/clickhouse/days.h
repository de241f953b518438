// SPDX-License-Identifier: Apache-2.0
// The days that `events` is partitioned by: those that are over, whose marks are kept
// apart from their events, and those whose retention is over, which are dropped.
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_DAYS_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_DAYS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/store/clickhouse/connection.h"
#include "server/store/clickhouse/schema.h"

namespace postern::server::clickhouse {

// On the store's thread.
class Days {
 public:
  // Both outlive it.
  Days(Connection& connection, const Features& features)
      : connection_(connection), features_(features) {}

  // Asks the server once up to which day marks are kept apart.
  absl::Status Know() { return folded_ < 0 ? Load() : absl::OkStatus(); }
  // In which day rows arrive at `now` (ns): never in one whose marks are kept apart
  // already, whatever our clock says.
  uint16_t ArrivalOf(int64_t now) const;
  // Keeps the marks of days that are over apart, and drops expired ones.
  absl::Status Maintain(absl::Duration retention, int64_t now);

 private:
  absl::Status Load();
  absl::Status DropExpired(const std::vector<std::string>& partitions, absl::Duration retention,
                           int64_t now);

  Connection& connection_;
  const Features& features_;
  // The last day whose marks are kept apart; -1: not asked for yet.
  int64_t folded_ = -1;
};

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_DAYS_H_
