// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/schema.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/store/clickhouse/row_binary.h"
#include "server/store/clickhouse/sql.h"

namespace postern::server::clickhouse {
namespace {

// Made before the others: a database that has it is ours.
constexpr absl::string_view kVersionTable =
    "CREATE TABLE IF NOT EXISTS postern (version UInt32) "
    "ENGINE = ReplacingMergeTree ORDER BY version";

// `partition`'s last two are always 0: they make the server keep the earliest and the
// latest time and length of each part, and skip the parts that a window cannot touch.
constexpr absl::string_view kEvents = R"sql(
CREATE TABLE IF NOT EXISTS events (
  arrived Date,
  span UInt8,
  host String,
  time Int64,
  length Int64,
  epoch UInt64,
  position UInt64,
  kind Int32,
  verdict Int32,
  attempts Int64,
  uid Int64,
  port Int64,
  destination String,
  user String,
  exe String,
  script String,
  rule String,
  unit String,
  container String,
  comm String,
  traits String,
  rest String
) ENGINE = ReplacingMergeTree
PARTITION BY (arrived, bitAnd(time, 0), bitAnd(span, 0))
ORDER BY (span, host, time, epoch, position)
)sql";

// Version 1, beside EventsTable(). What leads from a version to the next comes behind it
// in PrepareSchema().
// Never edit one that was released: add the next. A step that came to its middle is
// begun anew.
constexpr const char* kFirstTables[] = {
    R"sql(
CREATE TABLE IF NOT EXISTS hosts (
  host String,
  changed UInt64,
  forgotten UInt8,
  agent String,
  boot String,
  version String,
  state String,
  collector UInt64,
  connected UInt8,
  first_seen Int64,
  last_seen Int64,
  first_event Int64,
  oldest_pending Int64,
  not_watched Int64
) ENGINE = ReplacingMergeTree(changed) ORDER BY host
)sql",
    R"sql(
CREATE TABLE IF NOT EXISTS collectors (
  collector UInt64,
  name String,
  beat UInt64,
  heard DateTime,
  ended UInt8
) ENGINE = ReplacingMergeTree(beat) ORDER BY collector
)sql",
    R"sql(
CREATE TABLE IF NOT EXISTS claims (
  epoch UInt64,
  collector UInt64,
  changed UInt64,
  held UInt8
) ENGINE = ReplacingMergeTree(changed) ORDER BY (epoch, collector)
)sql",
    R"sql(
CREATE TABLE IF NOT EXISTS marks (
  epoch UInt64,
  position UInt64
) ENGINE = ReplacingMergeTree(position) ORDER BY epoch
)sql",
    "CREATE TABLE IF NOT EXISTS folded (day Date) ENGINE = ReplacingMergeTree ORDER BY day",
    "CREATE TABLE IF NOT EXISTS expiry (before Int64) ENGINE = ReplacingMergeTree ORDER BY before",
};

constexpr absl::Duration kDay = absl::Hours(24);

absl::StatusOr<int64_t> Number(Connection& connection, absl::string_view sql,
                               const Connection::Options& options = {}) {
  ASSIGN_OR_RETURN(const std::string answer,
                   connection.Ask(absl::StrCat(sql, " FORMAT RowBinary"), options));
  RowReader row(answer);
  return row.Read<int64_t>();
}

absl::StatusOr<std::set<std::string>> Texts(Connection& connection, absl::string_view sql,
                                            const Connection::Options& options = {}) {
  ASSIGN_OR_RETURN(const std::string answer,
                   connection.Ask(absl::StrCat(sql, " FORMAT RowBinary"), options));
  std::set<std::string> texts;
  for (RowReader row(answer); !row.AtEnd();) texts.emplace(row.Text());
  return texts;
}

std::string TtlOf(int64_t days) { return absl::StrCat("arrived + toIntervalDay(", days, ")"); }

// The retention may have been changed since the table was made.
absl::Status KeepTtl(Connection& connection, const Features& features, absl::string_view database,
                     int64_t days_kept) {
  if (!features.ttl) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::set<std::string> engines,
                   Texts(connection, absl::StrCat("SELECT engine_full FROM system.tables WHERE "
                                                  "database = ",
                                                  Quoted(database), " AND name = 'events'")));
  const std::string engine = engines.empty() ? "" : *engines.begin();
  const bool has = absl::StrContains(engine, " TTL ");
  if (days_kept == 0 ? !has : absl::StrContains(engine, TtlOf(days_kept))) {
    return absl::OkStatus();
  }
  Connection::Options options;
  // Parts that are there are dropped by the collectors: nothing has to be rewritten.
  if (features.materialize_ttl_after_modify) options.settings = "&materialize_ttl_after_modify=0";
  return connection.Run(days_kept == 0
                            ? "ALTER TABLE events REMOVE TTL"
                            : absl::StrCat("ALTER TABLE events MODIFY TTL ", TtlOf(days_kept)),
                        options);
}

}  // namespace

absl::StatusOr<Features> FeaturesOf(Connection& connection) {
  const Connection::Options anywhere = {.in_database = false};
  Features features;
  ASSIGN_OR_RETURN(const std::set<std::string> versions,
                   Texts(connection, "SELECT version()", anywhere));
  if (!versions.empty()) features.version = *versions.begin();
  ASSIGN_OR_RETURN(const std::set<std::string> names,
                   Texts(connection,
                         "SELECT name FROM system.merge_tree_settings UNION ALL "
                         "SELECT name FROM system.settings",
                         anywhere));
  // It came with TTL.
  features.ttl = names.contains("merge_with_ttl_timeout");
  features.ttl_only_drop_parts = names.contains("ttl_only_drop_parts");
  features.fsync_after_insert = names.contains("fsync_after_insert");
  features.fsync_part_directory = names.contains("fsync_part_directory");
  features.materialize_ttl_after_modify = names.contains("materialize_ttl_after_modify");
  features.async_insert = names.contains("async_insert");
  return features;
}

int64_t DaysKept(absl::Duration retention) {
  if (retention == absl::InfiniteDuration()) return 0;
  // The day of the arrival, and what of one is left behind whole days.
  return absl::IDivDuration(retention + kDay - absl::Nanoseconds(1), kDay, &retention) + 1;
}

std::string EventsTable(const Features& features, int64_t days_kept) {
  std::string sql(kEvents);
  if (features.ttl && days_kept != 0) absl::StrAppend(&sql, "TTL ", TtlOf(days_kept), "\n");
  // A window of one host among thousands reads few rows that are not its own.
  absl::StrAppend(&sql, "SETTINGS index_granularity = 1024");
  if (features.ttl_only_drop_parts) absl::StrAppend(&sql, ", ttl_only_drop_parts = 1");
  // What was acknowledged outlives a power cut.
  if (features.fsync_after_insert) absl::StrAppend(&sql, ", fsync_after_insert = 1");
  if (features.fsync_part_directory) absl::StrAppend(&sql, ", fsync_part_directory = 1");
  return sql;
}

absl::Status PrepareSchema(Connection& connection, const Features& features,
                           absl::string_view database, int64_t days_kept) {
  const Connection::Options anywhere = {.in_database = false};
  ASSIGN_OR_RETURN(const std::set<std::string> databases,
                   Texts(connection, "SELECT name FROM system.databases", anywhere));
  if (!databases.contains(std::string(database))) {
    RETURN_IF_ERROR(
        connection.Run(absl::StrCat("CREATE DATABASE IF NOT EXISTS ", database), anywhere));
  }
  ASSIGN_OR_RETURN(const std::set<std::string> tables,
                   Texts(connection, absl::StrCat("SELECT name FROM system.tables WHERE "
                                                  "database = ",
                                                  Quoted(database))));
  int64_t version = 0;
  if (tables.contains("postern")) {
    ASSIGN_OR_RETURN(version, Number(connection, "SELECT toInt64(max(version)) FROM postern"));
  } else if (!tables.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("ClickHouse's database ", database,
                     " has tables, but not Postern's; name another database in 'store' (it was "
                     "not changed)"));
  }
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "ClickHouse's database ", database, " was written by a newer postern-collector (schema ",
        version, ", this one knows ", kSchemaVersion, "); upgrade this one"));
  }
  if (version < 1) {
    RETURN_IF_ERROR(connection.Run(kVersionTable));
    RETURN_IF_ERROR(connection.Run(EventsTable(features, days_kept)));
    for (const char* table : kFirstTables) RETURN_IF_ERROR(connection.Run(table));
    RETURN_IF_ERROR(
        connection.Run(absl::StrCat("INSERT INTO postern SELECT toUInt32(", kSchemaVersion, ")")));
  }
  return KeepTtl(connection, features, database, days_kept);
}

}  // namespace postern::server::clickhouse
