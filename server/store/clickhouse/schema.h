// SPDX-License-Identifier: Apache-2.0
// The tables of a ClickHouse store, and how a database of an older version becomes one
// of this. docs/store.md is their document.
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_SCHEMA_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_SCHEMA_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/store/clickhouse/connection.h"

namespace postern::server::clickhouse {

// In table `postern`.
inline constexpr int64_t kSchemaVersion = 1;

// What a server has, beyond what version 18.16 has; found out by asking it.
struct Features {
  std::string version;
  // Rows that expire by themselves (19.6).
  bool ttl = false;
  bool ttl_only_drop_parts = false;
  bool fsync_after_insert = false;
  bool fsync_part_directory = false;
  bool materialize_ttl_after_modify = false;
  // Inserts that are answered before they are written, or with others': never for us.
  bool async_insert = false;

  // Connection::Options::settings of an insert.
  std::string InsertSettings() const { return async_insert ? "&async_insert=0" : ""; }
};

absl::StatusOr<Features> FeaturesOf(Connection& connection);

// Days after their arrival that rows are kept at most; a partition has a whole day, and
// is dropped when all that arrived within it is older than `retention`. 0: for ever.
int64_t DaysKept(absl::Duration retention);

// As it is made on a server with those features.
std::string EventsTable(const Features& features, int64_t days_kept);

// Makes the database and its tables where they are missing. Tables that are there
// already are taken as they are, whatever their engines: so an administrator may make
// them replicated first. Refuses (kFailedPrecondition) a database that is not ours or
// newer than kSchemaVersion, without changing it.
absl::Status PrepareSchema(Connection& connection, const Features& features,
                           absl::string_view database, int64_t days_kept);

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_SCHEMA_H_
