// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_writer.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/store/event_row.h"

namespace postern::server {
namespace {

constexpr absl::string_view kInsertEvent =
    "INSERT INTO events (host, span, time, last_time, kind, attempts, verdict, uid, port, "
    "destination, user, exe, script, rule, unit, container, comm, body) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";

constexpr absl::string_view kWelcome =
    "INSERT INTO hosts (host, agent, boot, version, mode, generation, events_lost, healthy, "
    "connected, first_seen, last_seen, oldest_pending, not_watched, state) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9, ?9, ?10, ?11, ?12) "
    "ON CONFLICT (host) DO UPDATE SET agent = ?2, boot = ?3, version = ?4, mode = ?5, "
    "generation = ?6, events_lost = ?7, healthy = ?8, connected = 1, last_seen = ?9, "
    "oldest_pending = ?10, not_watched = ?11, state = ?12";

constexpr absl::string_view kHeard =
    "UPDATE hosts SET mode = ?2, generation = ?3, events_lost = ?4, healthy = ?5, "
    "last_seen = ?6, oldest_pending = ?7, not_watched = ?8, state = ?9 WHERE host = ?1";

// SQLite's integers are signed; an epoch is just 64 bits.
int64_t Signed(uint64_t epoch) { return static_cast<int64_t>(epoch); }

int64_t Fit(uint64_t value) {
  return static_cast<int64_t>(
      std::min(value, static_cast<uint64_t>(std::numeric_limits<int64_t>::max())));
}

// Of a cached statement: runs it and makes it ready for the next time.
absl::Status RunAndReset(Statement& statement) {
  const absl::Status status = statement.Run();
  statement.Reset();
  return status;
}

// What the collector itself knows to be missing.
v1::Event OwnGap(const v1::Hello& hello, v1::Gap::Reason reason, int64_t from, int64_t to) {
  v1::Event event;
  event.set_kind(v1::Event::GAP);
  event.set_host(hello.host());
  event.set_agent(hello.agent());
  event.set_time_ns(static_cast<uint64_t>(from));
  event.mutable_gap()->set_reason(reason);
  event.mutable_gap()->set_from_ns(static_cast<uint64_t>(from));
  event.mutable_gap()->set_to_ns(static_cast<uint64_t>(to));
  return event;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteWriter>> SqliteWriter::Create(Database& database) {
  ASSIGN_OR_RETURN(NameTable names, NameTable::Create(database));
  ASSIGN_OR_RETURN(Statement insert_event, database.Prepare(kInsertEvent));
  ASSIGN_OR_RETURN(Statement mark,
                   database.Prepare("SELECT position FROM epochs WHERE epoch = ?1"));
  ASSIGN_OR_RETURN(
      Statement set_mark,
      database.Prepare("INSERT INTO epochs (epoch, host, position) VALUES (?1, ?2, ?3) "
                       "ON CONFLICT (epoch) DO UPDATE SET host = ?2, position = ?3"));
  ASSIGN_OR_RETURN(
      Statement host_id,
      database.Prepare("INSERT INTO hosts (host, first_seen, last_seen) VALUES (?1, ?2, ?2) "
                       "ON CONFLICT (host) DO UPDATE SET last_seen = ?2 RETURNING id"));
  ASSIGN_OR_RETURN(Statement welcome, database.Prepare(kWelcome));
  ASSIGN_OR_RETURN(Statement heard, database.Prepare(kHeard));
  ASSIGN_OR_RETURN(Statement left,
                   database.Prepare("UPDATE hosts SET connected = 0 WHERE host = ?1"));
  ASSIGN_OR_RETURN(Statement touch,
                   database.Prepare("UPDATE hosts SET first_event = min(coalesce(first_event, "
                                    "?2), ?2) WHERE id = ?1"));
  ASSIGN_OR_RETURN(Statement set_pending,
                   database.Prepare("UPDATE hosts SET oldest_pending = ?2 WHERE id = ?1"));
  ASSIGN_OR_RETURN(Statement known,
                   database.Prepare("SELECT id, agent, min(last_seen, "
                                    "coalesce(nullif(oldest_pending, 0), last_seen), "
                                    "coalesce(nullif(not_watched, 0), last_seen)) FROM hosts "
                                    "WHERE host = ?1"));
  return std::unique_ptr<SqliteWriter>(new SqliteWriter(
      std::move(names), std::move(insert_event), std::move(mark), std::move(set_mark),
      std::move(host_id), std::move(welcome), std::move(heard), std::move(left), std::move(touch),
      std::move(set_pending), std::move(known)));
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
    ASSIGN_OR_RETURN(const int64_t position, Mark(epoch));
    v1::EpochMark& mark = marks.emplace_back();
    mark.set_epoch(epoch);
    mark.set_position(static_cast<uint64_t>(position));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(add(hello.epoch()));
  for (const uint64_t epoch : hello.pending_epochs()) {
    if (epoch != hello.epoch()) RETURN_IF_ERROR(add(epoch));
  }
  return marks;
}

absl::StatusOr<absl::StatusOr<uint64_t>> SqliteWriter::Append(EventBatch& batch, int64_t now) {
  ASSIGN_OR_RETURN(const int64_t position, Mark(batch.epoch));
  const auto mark = static_cast<uint64_t>(position);
  ASSIGN_OR_RETURN(const int64_t host_id, HostId(batch.host, now));
  if (batch.first_position > mark + 1) {
    return absl::StatusOr<uint64_t>(absl::FailedPreconditionError(
        absl::StrCat("batch of host ", batch.host, " begins at position ", batch.first_position,
                     ", but its epoch is committed up to ", mark, "; send from ", mark + 1)));
  }
  RETURN_IF_ERROR(SetPending(host_id, batch.oldest_pending_ns));
  const uint64_t known =
      std::min(mark + 1 - batch.first_position, static_cast<uint64_t>(batch.events.size()));
  const uint64_t last = batch.first_position + static_cast<uint64_t>(batch.events.size()) - 1;
  if (last <= mark) return absl::StatusOr<uint64_t>(mark);

  int64_t first_event = std::numeric_limits<int64_t>::max();
  for (int i = static_cast<int>(known); i < batch.events.size(); ++i) {
    v1::Event& event = batch.events[i];
    // Only holds a position whose event the agent had to evict.
    if (event.kind() == v1::Event::KIND_UNSPECIFIED) continue;
    event.set_host(batch.host);
    ASSIGN_OR_RETURN(const int64_t time, Insert(event, host_id));
    first_event = std::min(first_event, time);
  }
  RETURN_IF_ERROR(SetMark(batch.epoch, host_id, last));
  if (first_event != std::numeric_limits<int64_t>::max()) {
    touch_.Bind(1, host_id);
    touch_.Bind(2, first_event);
    RETURN_IF_ERROR(RunAndReset(touch_));
  }
  return absl::StatusOr<uint64_t>(last);
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

absl::Status SqliteWriter::NoteReinstallation(const v1::Hello& hello, int64_t now) {
  ASSIGN_OR_RETURN(const std::optional<KnownHost> known, Find(hello.host()));
  if (!known || known->agent.empty() || known->agent == hello.agent()) return absl::OkStatus();
  return Insert(OwnGap(hello, v1::Gap::NOT_WATCHED, known->until, now), known->id).status();
}

absl::Status SqliteWriter::NoteElsewhere(const v1::Hello& hello, int64_t now) {
  const v1::EpochMark& last = hello.last_acknowledged();
  ASSIGN_OR_RETURN(const int64_t mark, Mark(last.epoch()));
  if (static_cast<uint64_t>(mark) >= last.position()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<KnownHost> known, Find(hello.host()));
  ASSIGN_OR_RETURN(const int64_t host_id, HostId(hello.host(), now));
  // Of a host that comes from elsewhere nobody here knows when it began.
  const int64_t since = known ? known->until : 1;
  RETURN_IF_ERROR(Insert(OwnGap(hello, v1::Gap::ELSEWHERE, since, now), host_id).status());
  return SetMark(last.epoch(), host_id, last.position());
}

absl::Status SqliteWriter::Record(const v1::Event& event) {
  ASSIGN_OR_RETURN(const std::optional<KnownHost> known, Find(event.host()));
  return known ? Insert(event, known->id).status() : absl::OkStatus();
}

absl::StatusOr<std::optional<SqliteWriter::KnownHost>> SqliteWriter::Find(const std::string& host) {
  known_.Bind(1, host);
  const absl::StatusOr<bool> row = known_.Step();
  std::optional<KnownHost> known;
  if (row.ok() && *row) known = {known_.Int(0), std::string(known_.Text(1)), known_.Int(2)};
  known_.Reset();
  RETURN_IF_ERROR(row.status());
  return known;
}

absl::Status SqliteWriter::SetPending(int64_t host_id, uint64_t oldest_pending_ns) {
  set_pending_.Bind(1, host_id);
  set_pending_.Bind(2, Fit(oldest_pending_ns));
  return RunAndReset(set_pending_);
}

absl::StatusOr<int64_t> SqliteWriter::Mark(uint64_t epoch) {
  mark_.Bind(1, Signed(epoch));
  const absl::StatusOr<bool> row = mark_.Step();
  const int64_t position = row.ok() && *row ? mark_.Int(0) : 0;
  mark_.Reset();
  RETURN_IF_ERROR(row.status());
  return position;
}

absl::Status SqliteWriter::SetMark(uint64_t epoch, int64_t host_id, uint64_t position) {
  set_mark_.Bind(1, Signed(epoch));
  set_mark_.Bind(2, host_id);
  set_mark_.Bind(3, Signed(position));
  return RunAndReset(set_mark_);
}

absl::StatusOr<int64_t> SqliteWriter::HostId(const std::string& host, int64_t now) {
  host_id_.Bind(1, host);
  host_id_.Bind(2, now);
  const absl::StatusOr<bool> row = host_id_.Step();
  const int64_t id = row.ok() && *row ? host_id_.Int(0) : 0;
  const absl::Status ended = row.ok() ? host_id_.Run() : row.status();
  host_id_.Reset();
  RETURN_IF_ERROR(ended);
  return id;
}

absl::StatusOr<int64_t> SqliteWriter::Insert(const v1::Event& event, int64_t host_id) {
  const EventRow row = RowOf(event);
  // Parameters that are not bound are NULL.
  insert_event_.Reset();
  RETURN_IF_ERROR(BindName(11, event.user(), row.last_time));
  RETURN_IF_ERROR(BindName(12, event.exe(), row.last_time));
  RETURN_IF_ERROR(BindName(13, event.script(), row.last_time));
  RETURN_IF_ERROR(BindName(14, event.rule(), row.last_time));
  RETURN_IF_ERROR(BindName(15, event.unit(), row.last_time));
  RETURN_IF_ERROR(BindName(16, event.container(), row.last_time));
  RETURN_IF_ERROR(BindName(17, event.comm(), row.last_time));
  if (!event.SerializeToString(&body_)) {
    return absl::InternalError("event could not be serialized");
  }
  insert_event_.Bind(1, host_id);
  insert_event_.Bind(2, int64_t{row.span});
  insert_event_.Bind(3, row.time);
  insert_event_.Bind(4, row.last_time);
  insert_event_.Bind(5, row.kind);
  insert_event_.Bind(6, row.attempts);
  insert_event_.Bind(7, row.verdict);
  if (row.uid) insert_event_.Bind(8, *row.uid);
  if (row.port) insert_event_.Bind(9, *row.port);
  if (row.destination) {
    insert_event_.BindBlob(
        10, {reinterpret_cast<const char*>(row.destination->data()), row.destination->size()});
  }
  insert_event_.BindBlob(18, body_);
  RETURN_IF_ERROR(RunAndReset(insert_event_));
  return row.time;
}

absl::Status SqliteWriter::BindName(int parameter, const std::string& name, int64_t last_time) {
  if (name.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const int64_t id, names_.Id(name, last_time));
  insert_event_.Bind(parameter, id);
  return absl::OkStatus();
}

}  // namespace postern::server
