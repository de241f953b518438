// SPDX-License-Identifier: Apache-2.0
#include "server/store/retention.h"

#include "common/status.h"
#include "server/store/schema.h"

namespace postern::server {
namespace {

// Pages given back after each step: what 1,000 events take, and a half more.
constexpr const char* kGiveBack = "PRAGMA incremental_vacuum(400)";

absl::StatusOr<int64_t> Delete(Database& database, absl::string_view sql, int64_t cutoff,
                               int64_t limit, int span) {
  ASSIGN_OR_RETURN(Statement statement, database.Prepare(sql));
  statement.Bind(1, cutoff);
  statement.Bind(2, limit);
  if (span >= 0) statement.Bind(3, int64_t{span});
  RETURN_IF_ERROR(statement.Run());
  return sqlite3_changes64(database.handle());
}

absl::Status RememberExpiry(Database& database, int64_t cutoff) {
  ASSIGN_OR_RETURN(const int64_t rows, database.Number("SELECT count(*) FROM expiry"));
  ASSIGN_OR_RETURN(Statement statement,
                   database.Prepare(rows == 0 ? "INSERT INTO expiry (before) VALUES (?1)"
                                              : "UPDATE expiry SET before = max(before, ?1)"));
  statement.Bind(1, cutoff);
  return statement.Run();
}

}  // namespace

absl::StatusOr<bool> RetentionStep(Database& database, int64_t cutoff) {
  int64_t events = 0;
  int64_t names = 0;
  {
    ASSIGN_OR_RETURN(Transaction transaction,
                     Transaction::Begin(database, Transaction::Kind::kWrite));
    for (int span = 0; span < kSpanClasses && events < kRetentionStep; ++span) {
      ASSIGN_OR_RETURN(
          const int64_t deleted,
          Delete(database,
                 "DELETE FROM events WHERE id IN (SELECT id FROM events INDEXED BY events_time "
                 "WHERE span = ?3 AND time < ?1 AND last_time < ?1 ORDER BY time LIMIT ?2)",
                 cutoff, kRetentionStep - events, span));
      events += deleted;
    }
    if (events > 0) RETURN_IF_ERROR(RememberExpiry(database, cutoff));
    if (events < kRetentionStep) {
      // No event that ended before the cutoff is left: nothing uses these.
      ASSIGN_OR_RETURN(names, Delete(database,
                                     "DELETE FROM names WHERE id IN (SELECT id FROM names "
                                     "WHERE until <= ?1 LIMIT ?2)",
                                     cutoff, kRetentionStep, -1));
      RETURN_IF_ERROR(Delete(database,
                             "DELETE FROM hosts WHERE id IN (SELECT id FROM hosts h WHERE "
                             "connected = 0 AND last_seen < ?1 AND NOT EXISTS (SELECT 1 FROM "
                             "events e WHERE e.host = h.id) LIMIT ?2)",
                             cutoff, kRetentionStep, -1)
                          .status());
    }
    RETURN_IF_ERROR(transaction.Commit());
  }
  if (events + names > 0) RETURN_IF_ERROR(database.Execute(kGiveBack));
  return events == kRetentionStep || names == kRetentionStep;
}

}  // namespace postern::server
