// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/days.h"

#include <algorithm>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"
#include "common/status.h"
#include "server/store/clickhouse/host_row.h"
#include "server/store/clickhouse/lease.h"
#include "server/store/clickhouse/row_binary.h"
#include "server/store/clickhouse/sql.h"

namespace postern::server::clickhouse {
namespace {

constexpr int64_t kDayNs = 86'400'000'000'000;

// Days are Date's 16 bits.
int64_t DayOf(int64_t time) { return std::clamp<int64_t>(time / kDayNs, 0, 65'535); }

std::string DateOf(int64_t day) { return absl::StrCat("toDate(", day, ")"); }

// Folding a day, or dropping one.
Connection::Options LongWork() { return {.patience = absl::Minutes(5)}; }

// "20260101-0-0", as the partitions of `events` are called.
std::optional<int64_t> DayOfPartition(absl::string_view id) {
  int32_t date = 0;
  if (!absl::SimpleAtoi(id.substr(0, 8), &date)) return std::nullopt;
  const absl::CivilDay day(date / 10'000, date / 100 % 100, date % 100);
  return day - absl::CivilDay(1970, 1, 1);
}

}  // namespace

uint16_t Days::ArrivalOf(int64_t now) const {
  return static_cast<uint16_t>(std::max(DayOf(now), folded_ + 1));
}

absl::Status Days::Load() {
  ASSIGN_OR_RETURN(const std::string answer,
                   connection_.Ask("SELECT toInt64(toUInt16(max(day))) FROM folded FORMAT "
                                   "RowBinary"));
  folded_ = RowReader(answer).Read<int64_t>();
  return absl::OkStatus();
}

absl::Status Days::Maintain(absl::Duration retention, int64_t now) {
  RETURN_IF_ERROR(Load());
  ASSIGN_OR_RETURN(const std::string answer,
                   connection_.Ask("SELECT DISTINCT partition_id FROM system.parts WHERE "
                                   "database = currentDatabase() AND table = 'events' AND active "
                                   "ORDER BY partition_id FORMAT RowBinary"));
  std::vector<std::string> partitions;
  for (RowReader row(answer); !row.AtEnd();) partitions.emplace_back(row.Text());
  for (const std::string& partition : partitions) {
    const std::optional<int64_t> day = DayOfPartition(partition);
    // A day later nobody writes to it any more.
    if (!day || *day <= folded_ || *day >= DayOf(now) - 1) continue;
    RETURN_IF_ERROR(connection_.Run(
        absl::StrCat("INSERT INTO marks SELECT epoch, max(position) FROM events WHERE arrived = ",
                     DateOf(*day), " AND epoch != 0 GROUP BY epoch"),
        LongWork()));
    RETURN_IF_ERROR(connection_.Run(absl::StrCat("INSERT INTO folded SELECT ", DateOf(*day))));
    folded_ = *day;
  }
  if (retention == absl::InfiniteDuration()) return absl::OkStatus();
  return DropExpired(partitions, retention, now);
}

absl::Status Days::DropExpired(const std::vector<std::string>& partitions, absl::Duration retention,
                               int64_t now) {
  const int64_t cutoff = now - absl::ToInt64Nanoseconds(retention);
  if (cutoff <= 0) return absl::OkStatus();
  const int64_t first_kept = DayOf(cutoff);
  std::vector<std::string> expired;
  for (const std::string& partition : partitions) {
    const std::optional<int64_t> day = DayOfPartition(partition);
    if (day && *day < first_kept && *day <= folded_) expired.push_back(partition);
  }
  ASSIGN_OR_RETURN(const std::string told,
                   connection_.Ask("SELECT max(before) FROM expiry FORMAT RowBinary"));
  const int64_t before = first_kept * kDayNs;
  // Where rows expire by themselves nobody sees it: it is said before they may.
  const bool may_expire = !expired.empty() || features_.ttl;
  if (may_expire && RowReader(told).Read<int64_t>() < before) {
    RETURN_IF_ERROR(
        connection_.Run(absl::StrCat("INSERT INTO expiry SELECT toInt64(", before, ")")));
  }
  for (const std::string& partition : expired) {
    RETURN_IF_ERROR(connection_.Run(
        absl::StrCat("ALTER TABLE events DROP PARTITION ID ", Quoted(partition)), LongWork()));
  }
  // Hosts of which nothing is left.
  return connection_.Run(
      absl::StrCat("INSERT INTO hosts (", kHostColumns,
                   ") SELECT host, changed + 1, 1, agent, "
                   "boot, version, state, collector, 0, first_seen, last_seen, first_event, "
                   "oldest_pending, not_watched FROM hosts FINAL WHERE forgotten = 0 AND "
                   "last_seen < ",
                   before, " AND NOT (connected = 1 AND collector IN (", LivingCollectors(), "))"),
      LongWork());
}

}  // namespace postern::server::clickhouse
