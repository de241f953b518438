// SPDX-License-Identifier: Apache-2.0
#include "server/store/schema.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::server {
namespace {

// "Pstn" in ASCII, so that file(1) and we can tell a store from other databases.
constexpr int64_t kApplicationId = 0x5073746e;

// kMigrations[n] leads from version n to n + 1. Never edit one that was
// released: add the next.
constexpr const char* kMigrations[kSchemaVersion] = {
    R"sql(
CREATE TABLE hosts (
  id INTEGER PRIMARY KEY,
  host TEXT NOT NULL UNIQUE,
  agent TEXT NOT NULL DEFAULT '',
  boot TEXT NOT NULL DEFAULT '',
  version TEXT NOT NULL DEFAULT '',
  mode TEXT NOT NULL DEFAULT '',
  generation INTEGER NOT NULL DEFAULT 0,
  events_lost INTEGER NOT NULL DEFAULT 0,
  healthy INTEGER NOT NULL DEFAULT 0,
  connected INTEGER NOT NULL DEFAULT 0,
  first_seen INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  first_event INTEGER
) STRICT;

CREATE TABLE epochs (
  epoch INTEGER PRIMARY KEY,
  host INTEGER NOT NULL,
  position INTEGER NOT NULL
) STRICT;

CREATE TABLE names (
  id INTEGER PRIMARY KEY,
  value TEXT NOT NULL UNIQUE,
  until INTEGER NOT NULL
) STRICT;
CREATE INDEX names_until ON names (until);

CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  host INTEGER NOT NULL,
  span INTEGER NOT NULL,
  time INTEGER NOT NULL,
  last_time INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  verdict INTEGER NOT NULL,
  uid INTEGER,
  port INTEGER,
  destination BLOB,
  user INTEGER,
  exe INTEGER,
  script INTEGER,
  rule INTEGER,
  unit INTEGER,
  container INTEGER,
  comm INTEGER,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX events_host ON events (host, span, time);
CREATE INDEX events_time ON events (span, time);
CREATE INDEX events_gap ON events (host, last_time) WHERE kind = 2;

CREATE TABLE expiry (before INTEGER NOT NULL) STRICT;
)sql",
    R"sql(
ALTER TABLE hosts ADD COLUMN oldest_pending INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN not_watched INTEGER NOT NULL DEFAULT 0;
)sql",
    R"sql(
ALTER TABLE hosts ADD COLUMN state BLOB NOT NULL DEFAULT x'';

DROP TABLE events;
DROP TABLE names;

CREATE TABLE partitions (
  number INTEGER PRIMARY KEY,
  state INTEGER NOT NULL,
  created INTEGER NOT NULL,
  first INTEGER NOT NULL,
  newest INTEGER NOT NULL,
  last INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  spans INTEGER NOT NULL,
  events INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;
)sql",
};

// The version whose events are still in the catalog.
constexpr int64_t kSingleFileVersion = 2;

// "Pstp".
constexpr int64_t kPartitionId = 0x50737470;

// SQLite keeps them as they are written here, less the semicolons.
constexpr const char* kPartitionTables = R"sql(
CREATE TABLE hosts (
  id INTEGER PRIMARY KEY,
  host TEXT NOT NULL UNIQUE,
  first_event INTEGER NOT NULL,
  crc INTEGER NOT NULL
) STRICT;
CREATE TABLE epochs (
  epoch INTEGER PRIMARY KEY,
  host INTEGER NOT NULL,
  position INTEGER NOT NULL,
  crc INTEGER NOT NULL
) STRICT;
CREATE TABLE traits (
  id INTEGER PRIMARY KEY,
  hash INTEGER NOT NULL,
  uid INTEGER,
  user TEXT,
  exe TEXT,
  script TEXT,
  rule TEXT,
  unit TEXT,
  container TEXT,
  comm TEXT,
  body BLOB NOT NULL,
  crc INTEGER NOT NULL
) STRICT;
CREATE INDEX traits_hash ON traits (hash);
CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  host INTEGER NOT NULL,
  span INTEGER NOT NULL,
  time INTEGER NOT NULL,
  length INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  verdict INTEGER NOT NULL,
  port INTEGER NOT NULL,
  destination ANY,
  traits INTEGER NOT NULL,
  body BLOB NOT NULL,
  crc INTEGER NOT NULL
) STRICT;
CREATE INDEX events_host ON events (host, span, time);
CREATE INDEX events_time ON events (span, time);
CREATE INDEX events_gap ON events (host, time + length) WHERE kind = 2;
CREATE TABLE summaries (
  hour INTEGER NOT NULL,
  host INTEGER NOT NULL,
  traits INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  verdict INTEGER NOT NULL,
  port INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (hour, host, traits, kind, verdict, port)
) STRICT, WITHOUT ROWID;
CREATE TABLE bounds (
  first INTEGER NOT NULL,
  newest INTEGER NOT NULL,
  last INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  spans INTEGER NOT NULL,
  events INTEGER NOT NULL,
  summarized INTEGER NOT NULL,
  crc INTEGER NOT NULL
) STRICT;
)sql";

constexpr const char* kPartitionRows =
    "INSERT INTO bounds VALUES (9223372036854775807, 0, 0, 0, 0, 0, 0, "
    "crc(9223372036854775807, 0, 0, 0, 0, 0, 0))";

}  // namespace

absl::Status PrepareCatalog(Database& database, absl::FunctionRef<absl::Status()> move_events) {
  // Takes effect only before the first table is made.
  RETURN_IF_ERROR(database.Execute("PRAGMA auto_vacuum = INCREMENTAL"));
  ASSIGN_OR_RETURN(const int64_t version, database.Number("PRAGMA user_version"));
  ASSIGN_OR_RETURN(const int64_t application, database.Number("PRAGMA application_id"));
  ASSIGN_OR_RETURN(const int64_t tables, database.Number("SELECT count(*) FROM sqlite_schema"));
  const absl::string_view file = sqlite3_db_filename(database.handle(), "main");
  const bool fresh = version == 0 && application == 0 && tables == 0;
  if (!fresh && application != kApplicationId) {
    return absl::FailedPreconditionError(
        absl::StrCat(file,
                     ": is a database, but not one of Postern's; name another file in "
                     "'store' (it was not changed)"));
  }
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(file, ": was written by a newer postern-collector (schema ", version,
                     ", this one knows ", kSchemaVersion, "); upgrade this one"));
  }
  RETURN_IF_ERROR(database.Execute("PRAGMA journal_mode = WAL"));
  if (version == kSchemaVersion) return absl::OkStatus();
  const bool moves = !fresh && version <= kSingleFileVersion;
  if (moves) RETURN_IF_ERROR(move_events());
  {
    ASSIGN_OR_RETURN(Transaction transaction,
                     Transaction::Begin(database, Transaction::Kind::kWrite));
    for (int64_t step = version; step < kSchemaVersion; ++step) {
      RETURN_IF_ERROR(database.Execute(kMigrations[step]));
    }
    RETURN_IF_ERROR(database.Execute(absl::StrCat("PRAGMA application_id = ", kApplicationId,
                                                  "; PRAGMA user_version = ", kSchemaVersion)));
    RETURN_IF_ERROR(transaction.Commit());
  }
  // Gives back the room that the events took.
  return moves ? database.Execute("PRAGMA incremental_vacuum") : absl::OkStatus();
}

absl::Status CheckPartitionTables(Database& database) {
  ASSIGN_OR_RETURN(Statement select,
                   database.Prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL "
                                    "ORDER BY rowid"));
  std::string tables = "\n";
  while (true) {
    ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) break;
    absl::StrAppend(&tables, select.Text(0), ";\n");
  }
  if (tables == kPartitionTables) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(sqlite3_db_filename(database.handle(), "main"),
                                          ": its tables are not what was made"));
}

absl::Status PreparePartition(Database& database) {
  ASSIGN_OR_RETURN(const int64_t version, database.Number("PRAGMA user_version"));
  ASSIGN_OR_RETURN(const int64_t application, database.Number("PRAGMA application_id"));
  if (application == kPartitionId && version == kPartitionVersion) {
    return CheckPartitionTables(database);
  }
  const absl::string_view file = sqlite3_db_filename(database.handle(), "main");
  if (application == kPartitionId && version > kPartitionVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(file, ": was written by a newer postern-collector (partition ", version,
                     ", this one knows ", kPartitionVersion, "); upgrade this one"));
  }
  ASSIGN_OR_RETURN(const int64_t tables, database.Number("SELECT count(*) FROM sqlite_schema"));
  if (tables != 0) return absl::DataLossError(absl::StrCat(file, ": is no partition"));
  RETURN_IF_ERROR(database.Execute("PRAGMA journal_mode = WAL"));
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(database, Transaction::Kind::kWrite));
  RETURN_IF_ERROR(database.Execute(kPartitionTables));
  RETURN_IF_ERROR(database.Execute(kPartitionRows));
  RETURN_IF_ERROR(database.Execute(absl::StrCat("PRAGMA application_id = ", kPartitionId,
                                                "; PRAGMA user_version = ", kPartitionVersion)));
  return transaction.Commit();
}

}  // namespace postern::server
