// SPDX-License-Identifier: Apache-2.0
#include "server/store/catalog.h"

#include "common/status.h"

namespace postern::server {

absl::StatusOr<Transaction> BeginDurable(Database& catalog) {
  // Back to what it was when the next transaction begins: SQLite takes no change
  // within one.
  RETURN_IF_ERROR(catalog.Execute("PRAGMA synchronous = FULL"));
  return Transaction::Begin(catalog, Transaction::Kind::kWrite);
}

absl::StatusOr<std::vector<Partition>> PartitionsOf(Database& catalog) {
  ASSIGN_OR_RETURN(Statement select,
                   catalog.Prepare("SELECT number, state, created, first, newest, last, ended, "
                                   "spans, events, bytes FROM partitions ORDER BY number"));
  std::vector<Partition> partitions;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return partitions;
    Partition& partition = partitions.emplace_back();
    partition.number = select.Int(0);
    partition.state = static_cast<PartitionState>(select.Int(1));
    partition.created = select.Int(2);
    partition.bounds.first = select.Int(3);
    partition.bounds.newest = select.Int(4);
    partition.bounds.last = select.Int(5);
    partition.bounds.ended = select.Int(6);
    partition.bounds.spans = select.Int(7);
    partition.bounds.events = select.Int(8);
    partition.bytes = select.Int(9);
  }
}

absl::Status PutPartition(Database& catalog, const Partition& partition) {
  ASSIGN_OR_RETURN(Statement put,
                   catalog.Prepare("INSERT OR REPLACE INTO partitions (number, state, created, "
                                   "first, newest, last, ended, spans, events, bytes) "
                                   "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"));
  put.Bind(1, partition.number);
  put.Bind(2, static_cast<int64_t>(partition.state));
  put.Bind(3, partition.created);
  put.Bind(4, partition.bounds.first);
  put.Bind(5, partition.bounds.newest);
  put.Bind(6, partition.bounds.last);
  put.Bind(7, partition.bounds.ended);
  put.Bind(8, partition.bounds.spans);
  put.Bind(9, partition.bounds.events);
  put.Bind(10, partition.bytes);
  return put.Run();
}

absl::Status ForgetPartition(Database& catalog, int64_t number) {
  ASSIGN_OR_RETURN(Statement forget, catalog.Prepare("DELETE FROM partitions WHERE number = ?1"));
  forget.Bind(1, number);
  return forget.Run();
}

absl::Status TakeOver(Database& catalog, Database& partition) {
  ASSIGN_OR_RETURN(Statement hosts, partition.Prepare("SELECT host, first_event FROM hosts"));
  // Of a host that the catalog had yet to hear of nothing is known after its first event.
  ASSIGN_OR_RETURN(Statement put_host,
                   catalog.Prepare("INSERT INTO hosts (host, first_seen, last_seen, first_event) "
                                   "VALUES (?1, ?2, ?2, ?2) ON CONFLICT (host) DO UPDATE SET "
                                   "first_event = min(coalesce(first_event, ?2), ?2)"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, hosts.Step());
    if (!row) break;
    put_host.Bind(1, hosts.Text(0));
    put_host.Bind(2, hosts.Int(1));
    RETURN_IF_ERROR(put_host.Run());
    put_host.Reset();
  }
  ASSIGN_OR_RETURN(Statement marks, partition.Prepare("SELECT epoch, position FROM epochs"));
  ASSIGN_OR_RETURN(Statement put_mark,
                   catalog.Prepare("INSERT INTO epochs (epoch, host, position) VALUES (?1, 0, ?2) "
                                   "ON CONFLICT (epoch) DO UPDATE SET "
                                   "position = max(position, ?2)"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, marks.Step());
    if (!row) return absl::OkStatus();
    put_mark.Bind(1, marks.Int(0));
    put_mark.Bind(2, marks.Int(1));
    RETURN_IF_ERROR(put_mark.Run());
    put_mark.Reset();
  }
}

absl::StatusOr<std::optional<int64_t>> ExpiredBefore(Database& catalog) {
  ASSIGN_OR_RETURN(Statement select, catalog.Prepare("SELECT before FROM expiry"));
  ASSIGN_OR_RETURN(const bool row, select.Step());
  return row ? std::optional<int64_t>(select.Int(0)) : std::nullopt;
}

absl::Status RememberExpiry(Database& catalog, int64_t before) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> known, ExpiredBefore(catalog));
  ASSIGN_OR_RETURN(Statement statement,
                   catalog.Prepare(known ? "UPDATE expiry SET before = max(before, ?1)"
                                         : "INSERT INTO expiry (before) VALUES (?1)"));
  statement.Bind(1, before);
  return statement.Run();
}

}  // namespace postern::server
