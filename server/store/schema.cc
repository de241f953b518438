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
)sql",
};

}  // namespace

absl::Status PrepareSchema(Database& database) {
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
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(database, Transaction::Kind::kWrite));
  for (int64_t step = version; step < kSchemaVersion; ++step) {
    RETURN_IF_ERROR(database.Execute(kMigrations[step]));
  }
  RETURN_IF_ERROR(database.Execute(absl::StrCat("PRAGMA application_id = ", kApplicationId,
                                                "; PRAGMA user_version = ", kSchemaVersion)));
  return transaction.Commit();
}

}  // namespace postern::server
