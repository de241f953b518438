// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_writer.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/store/catalog.h"
#include "server/store/completeness.h"

namespace postern::server {
namespace {

constexpr absl::string_view kWelcome =
    "INSERT INTO hosts (host, agent, boot, version, mode, generation, events_lost, healthy, "
    "connected, first_seen, last_seen, oldest_pending, not_watched, state) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9, ?9, ?10, ?11, ?12) "
    "ON CONFLICT (host) DO UPDATE SET agent = ?2, boot = ?3, version = ?4, mode = ?5, "
    "generation = ?6, events_lost = ?7, healthy = ?8, connected = 1, last_seen = ?9, "
    "oldest_pending = ?10, not_watched = ?11, state = ?12";

constexpr absl::string_view kHeard =
    "UPDATE hosts SET mode = ?2, generation = ?3, events_lost = ?4, healthy = ?5, "
    "connected = 1, last_seen = ?6, oldest_pending = ?7, not_watched = ?8, state = ?9 WHERE host = "
    "?1";

// SQLite's integers are signed; an epoch is just 64 bits.
int64_t Signed(uint64_t epoch) { return static_cast<int64_t>(epoch); }

int64_t Fit(uint64_t value) {
  return static_cast<int64_t>(
      std::min(value, static_cast<uint64_t>(std::numeric_limits<int64_t>::max())));
}

// Of a cached statement: runs it and makes it ready for the next time.
absl::Status RunAndReset(Statement& statement) {
  absl::Status status = statement.Run();
  statement.Reset();
  return status;
}

}  // namespace

PreparedBatch::PreparedBatch(EventBatch batch)
    : host(std::move(batch.host)),
      epoch(batch.epoch),
      first_position(batch.first_position),
      oldest_pending_ns(batch.oldest_pending_ns) {
  events.Reserve(static_cast<size_t>(batch.events.size()));
  for (v1::Event& event : batch.events) events.Add(event);
}

absl::StatusOr<std::unique_ptr<SqliteWriter>> SqliteWriter::Create(Database& catalog,
                                                                   Partitions& partitions) {
  ASSIGN_OR_RETURN(Statement mark, catalog.Prepare("SELECT position FROM epochs WHERE epoch = ?1"));
  ASSIGN_OR_RETURN(Statement seen,
                   catalog.Prepare("INSERT INTO hosts (host, first_seen, last_seen) "
                                   "VALUES (?1, ?2, ?2) "
                                   "ON CONFLICT (host) DO UPDATE SET last_seen = ?2"));
  ASSIGN_OR_RETURN(Statement stored,
                   catalog.Prepare("UPDATE hosts SET oldest_pending = ?2, first_event = "
                                   "min(coalesce(first_event, ?3), coalesce(?3, first_event)) "
                                   "WHERE host = ?1"));
  ASSIGN_OR_RETURN(Statement welcome, catalog.Prepare(kWelcome));
  ASSIGN_OR_RETURN(Statement heard, catalog.Prepare(kHeard));
  ASSIGN_OR_RETURN(Statement left,
                   catalog.Prepare("UPDATE hosts SET connected = 0 WHERE host = ?1"));
  ASSIGN_OR_RETURN(Statement known,
                   catalog.Prepare("SELECT agent, min(last_seen, "
                                   "coalesce(nullif(oldest_pending, 0), last_seen), "
                                   "coalesce(nullif(not_watched, 0), last_seen)) FROM hosts "
                                   "WHERE host = ?1"));
  return std::unique_ptr<SqliteWriter>(
      new SqliteWriter(catalog, partitions, std::move(mark), std::move(seen), std::move(stored),
                       std::move(welcome), std::move(heard), std::move(left), std::move(known)));
}

absl::Status SqliteWriter::Begin(int64_t now) {
  ASSIGN_OR_RETURN(partition_, partitions_.Current(now));
  // What a power cut takes from the catalog is told anew.
  RETURN_IF_ERROR(catalog_.Execute("PRAGMA synchronous = NORMAL"));
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(catalog_, Transaction::Kind::kWrite));
  transaction_.emplace(std::move(transaction));
  return partition_->Begin();
}

absl::Status SqliteWriter::Commit() {
  RETURN_IF_ERROR(partition_->Commit());
  if (partitions_.FirstMoved()) RETURN_IF_ERROR(PutPartition(catalog_, partitions_.AsWritten()));
  RETURN_IF_ERROR(transaction_->Commit());
  transaction_.reset();
  partition_ = nullptr;
  return absl::OkStatus();
}

void SqliteWriter::Rollback() {
  transaction_.reset();
  if (partition_ != nullptr) partition_->Rollback();
  partition_ = nullptr;
}

absl::StatusOr<std::vector<v1::EpochMark>> SqliteWriter::Welcome(const v1::Hello& hello,
                                                                 int64_t now) {
  RETURN_IF_ERROR(NoteReinstallation(hello, now));
  RETURN_IF_ERROR(NoteElsewhere(hello, now));
  const v1::AgentState& state = hello.state();
  welcome_.Bind(1, hello.host());
  welcome_.Bind(2, hello.agent());
  welcome_.Bind(3, hello.boot());
  welcome_.Bind(4, hello.version());
  welcome_.Bind(5, state.mode());
  welcome_.Bind(6, int64_t{state.generation()});
  welcome_.Bind(7, Fit(state.events_lost()));
  welcome_.Bind(8, int64_t{state.healthy()});
  welcome_.Bind(9, now);
  welcome_.Bind(10, Fit(state.oldest_pending_ns()));
  welcome_.Bind(11, Fit(state.not_watched_since_ns()));
  welcome_.BindBlob(12, state.SerializeAsString());
  RETURN_IF_ERROR(RunAndReset(welcome_));

  std::vector<v1::EpochMark> marks;
  const auto add = [&](uint64_t epoch) -> absl::Status {
    ASSIGN_OR_RETURN(const uint64_t position, Mark(epoch));
    v1::EpochMark& mark = marks.emplace_back();
    mark.set_epoch(epoch);
    mark.set_position(position);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(add(hello.epoch()));
  for (const uint64_t epoch : hello.pending_epochs()) {
    if (epoch != hello.epoch()) RETURN_IF_ERROR(add(epoch));
  }
  return marks;
}

absl::StatusOr<absl::StatusOr<uint64_t>> SqliteWriter::Append(const PreparedBatch& batch,
                                                              int64_t now) {
  ASSIGN_OR_RETURN(const uint64_t mark, Mark(batch.epoch));
  seen_.Bind(1, absl::string_view(batch.host));
  seen_.Bind(2, now);
  RETURN_IF_ERROR(RunAndReset(seen_));
  if (batch.first_position > mark + 1) {
    return absl::StatusOr<uint64_t>(absl::FailedPreconditionError(
        absl::StrCat("batch of host ", batch.host, " begins at position ", batch.first_position,
                     ", but its epoch is committed up to ", mark, "; send from ", mark + 1)));
  }
  const uint64_t count = batch.events.events().size();
  const uint64_t known = std::min(mark + 1 - batch.first_position, count);
  const uint64_t last = batch.first_position + count - 1;
  ASSIGN_OR_RETURN(const int64_t first_event,
                   partition_->Insert(batch.host, batch.events, known, now));
  if (last > mark) RETURN_IF_ERROR(partition_->SetMark(batch.epoch, batch.host, last));
  stored_.Bind(1, absl::string_view(batch.host));
  stored_.Bind(2, Fit(batch.oldest_pending_ns));
  if (first_event != std::numeric_limits<int64_t>::max()) stored_.Bind(3, first_event);
  RETURN_IF_ERROR(RunAndReset(stored_));
  return absl::StatusOr<uint64_t>(std::max(last, mark));
}

absl::Status SqliteWriter::Heard(const std::string& host, const v1::AgentState& state,
                                 int64_t now) {
  heard_.Bind(1, host);
  heard_.Bind(2, state.mode());
  heard_.Bind(3, int64_t{state.generation()});
  heard_.Bind(4, Fit(state.events_lost()));
  heard_.Bind(5, int64_t{state.healthy()});
  heard_.Bind(6, now);
  heard_.Bind(7, Fit(state.oldest_pending_ns()));
  heard_.Bind(8, Fit(state.not_watched_since_ns()));
  heard_.BindBlob(9, state.SerializeAsString());
  return RunAndReset(heard_);
}

absl::Status SqliteWriter::Left(const std::string& host) {
  left_.Bind(1, host);
  return RunAndReset(left_);
}

absl::Status SqliteWriter::ForgetConnections() {
  return catalog_.Execute("UPDATE hosts SET connected = 0");
}

absl::Status SqliteWriter::NoteReinstallation(const v1::Hello& hello, int64_t now) {
  ASSIGN_OR_RETURN(const std::optional<KnownHost> known, Find(hello.host()));
  if (!known || known->agent.empty() || known->agent == hello.agent()) return absl::OkStatus();
  return Insert(OwnGap(hello, v1::Gap::NOT_WATCHED, known->until, now), now);
}

absl::Status SqliteWriter::NoteElsewhere(const v1::Hello& hello, int64_t now) {
  const v1::EpochMark& last = hello.last_acknowledged();
  ASSIGN_OR_RETURN(const uint64_t mark, Mark(last.epoch()));
  if (mark >= last.position()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<KnownHost> known, Find(hello.host()));
  // Of a host that comes from elsewhere nobody here knows when it began.
  const int64_t since = known ? known->until : 1;
  RETURN_IF_ERROR(Insert(OwnGap(hello, v1::Gap::ELSEWHERE, since, now), now));
  return partition_->SetMark(last.epoch(), hello.host(), last.position());
}

absl::Status SqliteWriter::Record(const v1::Event& event, int64_t now) {
  ASSIGN_OR_RETURN(const std::optional<KnownHost> known, Find(event.host()));
  return known ? Insert(event, now) : absl::OkStatus();
}

absl::StatusOr<std::optional<SqliteWriter::KnownHost>> SqliteWriter::Find(const std::string& host) {
  known_.Bind(1, host);
  const absl::StatusOr<bool> row = known_.Step();
  std::optional<KnownHost> known;
  if (row.ok() && *row) known = {std::string(known_.Text(0)), known_.Int(1)};
  known_.Reset();
  RETURN_IF_ERROR(row.status());
  return known;
}

absl::Status SqliteWriter::Insert(const v1::Event& event, int64_t now) {
  PreparedEvents events;
  v1::Event taken = event;
  events.Add(taken);
  return partition_->Insert(event.host(), events, /*from=*/0, now).status();
}

absl::StatusOr<uint64_t> SqliteWriter::Mark(uint64_t epoch) {
  ASSIGN_OR_RETURN(const std::optional<uint64_t> position, partition_->Mark(epoch));
  mark_.Bind(1, Signed(epoch));
  const absl::StatusOr<bool> row = mark_.Step();
  const int64_t before = row.ok() && *row ? mark_.Int(0) : 0;
  mark_.Reset();
  RETURN_IF_ERROR(row.status());
  return std::max(position.value_or(0), static_cast<uint64_t>(before));
}

}  // namespace postern::server
