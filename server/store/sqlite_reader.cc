// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_reader.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status.h"
#include "server/store/address.h"
#include "server/store/completeness.h"
#include "server/store/verdict_name.h"

namespace postern::server {
namespace {

// Steps of SQLite's machine between two looks at whether anyone still waits:
// some milliseconds.
constexpr int kStepsBetweenLooks = 100'000;

// Groups are collected before they are sent.
constexpr uint32_t kMaxGroups = 100'000;

// While it lives, `cancelled` interrupts the connection's statements.
class CancelWatch {
 public:
  CancelWatch(Database& database, const EventStore::Cancelled& cancelled)
      : database_(database), cancelled_(cancelled) {
    sqlite3_progress_handler(database_.handle(), kStepsBetweenLooks, &Look, this);
  }
  ~CancelWatch() { sqlite3_progress_handler(database_.handle(), 0, nullptr, nullptr); }
  CancelWatch(const CancelWatch&) = delete;
  CancelWatch& operator=(const CancelWatch&) = delete;

 private:
  static int Look(void* watch) { return static_cast<CancelWatch*>(watch)->cancelled_() ? 1 : 0; }

  Database& database_;
  const EventStore::Cancelled& cancelled_;
};

// One source of a page, standing on its newest row that was not taken.
struct Cursor {
  Statement statement;
  int64_t time;
  int64_t id;
};

absl::string_view ColumnOf(GroupField field) {
  switch (field) {
    case GroupField::kHost:
      return "host";
    case GroupField::kUser:
      return "user";
    case GroupField::kUid:
      return "uid";
    case GroupField::kExe:
      return "exe";
    case GroupField::kScript:
      return "script";
    case GroupField::kDestination:
      return "destination";
    case GroupField::kPort:
      return "port";
    case GroupField::kVerdict:
      return "verdict";
    case GroupField::kRule:
      return "rule";
    case GroupField::kUnit:
      return "unit";
    case GroupField::kContainer:
      return "container";
    case GroupField::kComm:
      return "comm";
  }
  return "host";
}

// The record of a canary that was denied as it has to be: not one that failed.
std::string ProofSql() {
  return absl::StrCat("(kind = ", static_cast<int>(v1::Event::CANARY),
                      " AND verdict = ", static_cast<int>(v1::Event::DENIED), ")");
}

// What is an answer; gaps are told by the completeness.
std::string FoundSql(const EventFilter& filter) {
  return filter.canaries ? "kind <> 2" : absl::StrCat("kind <> 2 AND NOT ", ProofSql());
}

// What is an attempt: a connect, where nobody asks for other kinds.
std::string CountedSql(const EventFilter& filter) {
  if (!filter.kinds.empty()) return FoundSql(filter);
  return filter.canaries ? absl::StrCat("(kind = 1 OR ", ProofSql(), ")") : "kind = 1";
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteReader>> SqliteReader::Open(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                   Database::Open(path, Database::Access::kRead));
  RETURN_IF_ERROR(database->Execute("PRAGMA query_only = 1; PRAGMA cache_size = -4096"));
  return std::unique_ptr<SqliteReader>(new SqliteReader(std::move(database)));
}

absl::StatusOr<std::vector<v1::Event>> SqliteReader::FindPage(
    const EventFilter& filter, size_t limit, const EventStore::Cancelled& cancelled,
    PageMark& mark) {
  CancelWatch watch(*database_, cancelled);
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(*database_, Transaction::Kind::kRead));
  // Later pages begin in the index where the last one ended: of the two bounds
  // on the time SQLite seeks to the first it finds.
  EventFilter rest = filter;
  if (mark.time < rest.window.until) rest.window.until = mark.time + 1;
  std::vector<Cursor> cursors;
  for (const EventSource& source : SourcesOf(rest)) {
    Parameters parameters;
    std::string sql = absl::StrCat("SELECT time, id, body ", SelectionSql(rest, source, parameters),
                                   " AND ", FoundSql(filter), " AND (time, id) < (");
    absl::StrAppend(&sql, parameters.Add(mark.time), ", ");
    absl::StrAppend(&sql, parameters.Add(mark.id), ") ORDER BY time DESC, id DESC");
    ASSIGN_OR_RETURN(Statement statement, database_->Prepare(sql));
    parameters.BindTo(statement);
    ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) continue;
    const int64_t time = statement.Int(0);
    const int64_t id = statement.Int(1);
    cursors.push_back({std::move(statement), time, id});
  }
  const auto older = [](const Cursor& a, const Cursor& b) {
    return std::pair(a.time, a.id) < std::pair(b.time, b.id);
  };
  std::vector<v1::Event> events;
  while (events.size() < limit && !cursors.empty()) {
    const auto newest = std::max_element(cursors.begin(), cursors.end(), older);
    const absl::string_view body = newest->statement.Blob(2);
    if (!events.emplace_back().ParseFromArray(body.data(), static_cast<int>(body.size()))) {
      return absl::DataLossError(absl::StrCat("event ", newest->id, " cannot be read"));
    }
    mark = {newest->time, newest->id};
    ASSIGN_OR_RETURN(const bool row, newest->statement.Step());
    if (!row) {
      cursors.erase(newest);
      continue;
    }
    newest->time = newest->statement.Int(0);
    newest->id = newest->statement.Int(1);
  }
  cursors.clear();
  RETURN_IF_ERROR(transaction.Commit());
  return events;
}

absl::StatusOr<GroupPage> SqliteReader::Group(const EventFilter& filter,
                                              const std::vector<GroupField>& fields, uint32_t limit,
                                              const EventStore::Cancelled& cancelled) {
  CancelWatch watch(*database_, cancelled);
  if (limit == 0 || limit > kMaxGroups) limit = kMaxGroups;
  std::vector<std::string> columns;
  std::vector<std::string> keys;
  for (size_t i = 0; i < fields.size(); ++i) {
    columns.push_back(absl::StrCat(ColumnOf(fields[i]), " AS k", i, ", "));
    keys.push_back(absl::StrCat("k", i));
  }
  Parameters parameters;
  std::vector<std::string> selects;
  for (const EventSource& source : SourcesOf(filter)) {
    selects.push_back(
        absl::StrCat("SELECT ", absl::StrJoin(columns, ""), "attempts, time, last_time ",
                     SelectionSql(filter, source, parameters), " AND ", CountedSql(filter)));
  }
  const std::string key_list = absl::StrJoin(keys, ", ");
  const std::string sql =
      absl::StrCat("SELECT ", key_list, keys.empty() ? "" : ", ",
                   "sum(attempts) AS n, min(time) AS first, max(last_time) AS last FROM (",
                   absl::StrJoin(selects, " UNION ALL "), ")", keys.empty() ? "" : " GROUP BY ",
                   key_list, " HAVING n > 0 ORDER BY n DESC, last DESC LIMIT ", limit + 1);
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(*database_, Transaction::Kind::kRead));
  GroupPage page;
  {
    ASSIGN_OR_RETURN(Statement select, database_->Prepare(sql));
    parameters.BindTo(select);
    while (true) {
      ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) break;
      if (page.groups.size() == limit) {
        page.truncated = true;
        break;
      }
      v1::Group& group = page.groups.emplace_back();
      int column = 0;
      for (const GroupField field : fields) {
        ASSIGN_OR_RETURN(*group.add_values(), GroupValue(field, select, column));
        ++column;
      }
      group.set_count(static_cast<uint64_t>(select.Int(column)));
      group.set_first_ns(static_cast<uint64_t>(select.Int(column + 1)));
      group.set_last_ns(static_cast<uint64_t>(select.Int(column + 2)));
    }
  }
  RETURN_IF_ERROR(transaction.Commit());
  return page;
}

absl::StatusOr<std::string> SqliteReader::GroupValue(GroupField field, const Statement& row,
                                                     int column) {
  if (row.IsNull(column)) return std::string();
  switch (field) {
    case GroupField::kUid:
    case GroupField::kPort:
      return absl::StrCat(row.Int(column));
    case GroupField::kVerdict:
      return VerdictName(row.Int(column));
    case GroupField::kDestination:
      return FormatAddress(row.Blob(column));
    default:
      break;
  }
  ASSIGN_OR_RETURN(
      Statement name,
      database_->Prepare(field == GroupField::kHost ? "SELECT host FROM hosts WHERE id = ?1"
                                                    : "SELECT value FROM names WHERE id = ?1"));
  name.Bind(1, row.Int(column));
  ASSIGN_OR_RETURN(const bool found, name.Step());
  return found ? std::string(name.Text(0)) : std::string();
}

absl::StatusOr<v1::Completeness> SqliteReader::Complete(const EventFilter& filter, int64_t now) {
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(*database_, Transaction::Kind::kRead));
  ASSIGN_OR_RETURN(v1::Completeness answer,
                   CompletenessOf(*database_, filter.hosts, filter.window, now));
  RETURN_IF_ERROR(transaction.Commit());
  return answer;
}

absl::StatusOr<std::vector<v1::Host>> SqliteReader::Hosts(int64_t now) {
  ASSIGN_OR_RETURN(Statement select,
                   database_->Prepare("SELECT host, agent, version, first_seen, last_seen, "
                                      "connected, mode, generation, events_lost, healthy, state "
                                      "FROM hosts ORDER BY host"));
  std::vector<v1::Host> hosts;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return hosts;
    v1::Host& host = hosts.emplace_back();
    host.set_host(std::string(select.Text(0)));
    host.set_agent(std::string(select.Text(1)));
    host.set_version(std::string(select.Text(2)));
    host.set_first_seen_ns(static_cast<uint64_t>(select.Int(3)));
    host.set_last_seen_ns(static_cast<uint64_t>(select.Int(4)));
    host.set_connected(select.Int(5) != 0);
    host.set_mode(std::string(select.Text(6)));
    host.set_generation(static_cast<uint32_t>(select.Int(7)));
    host.set_events_lost(static_cast<uint64_t>(select.Int(8)));
    host.set_healthy(select.Int(9) != 0);
    v1::AgentState state;
    const absl::string_view bytes = select.Blob(10);
    if (!state.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return absl::DataLossError(absl::StrCat("the state of host ", host.host(), " is damaged"));
    }
    host.set_stopped(state.stopping());
    host.set_silent(!state.stopping() && select.Int(4) < now - kHeartbeatToleranceNs);
    host.set_allowed(state.allowed());
    host.set_denied(state.denied());
    host.set_would_deny(state.would_deny());
    host.set_spool_events(state.spool_events());
    host.set_spool_bytes(state.spool_bytes());
    host.set_spool_evicted(state.spool_evicted());
  }
}

}  // namespace postern::server
