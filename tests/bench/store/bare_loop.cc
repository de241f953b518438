// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/store/bare_loop.h"

#include <memory>
#include <vector>

#include "common/status.h"
#include "server/store/event_parts.h"
#include "server/store/event_row.h"
#include "server/store/partition_writer.h"
#include "server/store/sqlite.h"
#include "tests/bench/store/attempts.h"

namespace postern::bench {
namespace {

constexpr int64_t kTransaction = 10'000;

struct Row {
  server::EventRow values;
  int64_t host;
  int64_t traits;
  std::string rest;
};

absl::Status InsertRow(server::Statement& insert, const Row& row) {
  insert.Bind(1, row.host);
  insert.Bind(2, row.values.span);
  insert.Bind(3, row.values.time);
  insert.Bind(4, row.values.last_time - row.values.time);
  insert.Bind(5, row.values.kind);
  insert.Bind(6, row.values.attempts);
  insert.Bind(7, row.values.verdict);
  insert.Bind(8, *row.values.port);
  server::BindDestination(insert, 9, *row.values.destination);
  insert.Bind(10, row.traits);
  insert.BindBlob(11, row.rest);
  absl::Status status = insert.Run();
  insert.Reset();
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BareLoop>> BareLoop::Create(const std::string& file, int64_t all) {
  ASSIGN_OR_RETURN(std::unique_ptr<server::Database> database, server::OpenPartitionToWrite(file));
  ASSIGN_OR_RETURN(
      server::Statement insert,
      database->Prepare(
          "INSERT INTO events (host, span, time, length, kind, attempts, verdict, "
          "port, destination, traits, body, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
          "?9, ?10, ?11, 4294967295)"));
  return std::unique_ptr<BareLoop>(new BareLoop(std::move(database), std::move(insert), all));
}

absl::StatusOr<Cost> BareLoop::Insert(int64_t events) {
  Cost spent;
  std::vector<Row> rows;
  server::EventParts parts;
  for (int64_t done = 0; done < events;) {
    rows.clear();
    while (static_cast<int64_t>(rows.size()) < kTransaction) {
      server::EventBatch batch = attempts_.Next();
      for (v1::Event& event : batch.events) {
        Row& row = rows.emplace_back();
        row.values = server::RowOf(event);
        row.host = static_cast<int64_t>(batch.epoch);
        server::Split(event, row.values, parts);
        row.traits = traits_.emplace(parts.traits, traits_.size() + 1).first->second;
        row.rest = parts.rest;
      }
    }
    const Stopwatch watch;
    ASSIGN_OR_RETURN(server::Transaction transaction,
                     server::Transaction::Begin(*database_, server::Transaction::Kind::kWrite));
    for (const Row& row : rows) RETURN_IF_ERROR(InsertRow(insert_, row));
    RETURN_IF_ERROR(transaction.Commit());
    spent.Add(watch.Read());
    done += static_cast<int64_t>(rows.size());
  }
  return spent;
}

}  // namespace postern::bench
