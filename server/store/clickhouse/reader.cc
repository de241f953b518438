// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/reader.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/address.h"
#include "common/status.h"
#include "server/store/clickhouse/host_row.h"
#include "server/store/clickhouse/lease.h"
#include "server/store/clickhouse/selection.h"
#include "server/store/clickhouse/sql.h"
#include "server/store/completeness.h"
#include "server/store/host_state.h"
#include "server/store/verdict_name.h"

namespace postern::server::clickhouse {
namespace {

// Groups are collected before they are sent.
constexpr uint32_t kMaxGroups = 100'000;

// Of one answer. A page that is larger is asked for in halves.
constexpr size_t kMaxPageBytes = size_t{32} << 20;
constexpr size_t kMaxAnswerBytes = size_t{128} << 20;

constexpr absl::Duration kPatience = absl::Minutes(2);

// What does not fit into memory goes to the server's disk.
constexpr absl::string_view kSettings =
    "&max_query_size=16777216&max_bytes_before_external_group_by=536870912"
    "&max_bytes_before_external_sort=536870912";

// Where a value is absent the column says "" or -1.
std::string ColumnOf(GroupField field) {
  switch (field) {
    case GroupField::kHost:
      return "host";
    case GroupField::kUser:
      return "user";
    case GroupField::kUid:
      return "if(uid < 0, '', toString(uid))";
    case GroupField::kExe:
      return "exe";
    case GroupField::kScript:
      return "script";
    case GroupField::kDestination:
      return "destination";
    case GroupField::kPort:
      return "if(port < 0, '', toString(port))";
    case GroupField::kVerdict:
      return "toString(verdict)";
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

std::string GroupValue(GroupField field, absl::string_view value) {
  if (field == GroupField::kDestination) {
    const std::optional<Address> address = AddressFromBytes(value);
    return address ? FormatAddress(*address) : "";
  }
  if (field == GroupField::kVerdict) {
    int64_t verdict = 0;
    return absl::SimpleAtoi(value, &verdict) ? VerdictName(verdict) : "";
  }
  return std::string(value);
}

// Events behind `mark`, in the order of pages.
std::string Behind(const Reader::PageMark& mark) {
  if (!mark) return "";
  const std::string host = Quoted(mark->host);
  return absl::StrCat(" AND time <= ", mark->time, " AND (time < ", mark->time, " OR host < ", host,
                      " OR (host = ", host, " AND (epoch < ", mark->epoch,
                      " OR (epoch = ", mark->epoch, " AND position < ", mark->position, "))))");
}

absl::Status Unreadable() { return absl::DataLossError("a row of ClickHouse's cannot be read"); }

}  // namespace

absl::StatusOr<std::unique_ptr<Reader>> Reader::Create(const ServerAddress& address) {
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, Connection::Create(address));
  return std::unique_ptr<Reader>(new Reader(std::move(connection)));
}

absl::StatusOr<std::string> Reader::Ask(const std::string& sql,
                                        const EventStore::Cancelled& cancelled,
                                        size_t max_answer_bytes) {
  Connection::Options options;
  options.patience = kPatience;
  options.max_answer_bytes = max_answer_bytes;
  options.cancelled = cancelled;
  options.settings =
      absl::StrCat(kSettings, "&max_execution_time=", absl::ToInt64Seconds(kPatience));
  return connection_->Ask(absl::StrCat(sql, " FORMAT RowBinary"), options);
}

absl::StatusOr<Reader::Page> Reader::FindPage(const EventFilter& filter, size_t size,
                                              const EventStore::Cancelled& cancelled,
                                              PageMark& mark) {
  const std::string matching =
      absl::StrCat(Matching(filter), " AND ", IsFound(filter), Behind(mark));
  while (true) {
    // First how far the page reaches, by few columns; then its rows.
    ASSIGN_OR_RETURN(const std::string bounds,
                     Ask(absl::StrCat("SELECT min(time), count() FROM (SELECT time FROM events "
                                      "WHERE ",
                                      matching, " ORDER BY time DESC LIMIT ", size, ")"),
                         cancelled, kMaxPageBytes));
    RowReader bound(bounds);
    const auto first = bound.Read<int64_t>();
    const auto rows = bound.Read<uint64_t>();
    if (!bound.ok()) return Unreadable();
    Page page;
    page.last = rows < size;
    if (rows == 0) return page;
    const absl::StatusOr<std::string> answer =
        Ask(absl::StrCat("SELECT ", kReadColumns, " FROM events PREWHERE time >= ", first,
                         " WHERE time >= ", first, " AND ", matching,
                         " ORDER BY time DESC, host DESC, epoch DESC, position DESC LIMIT ", size),
            cancelled, kMaxPageBytes);
    if (absl::IsOutOfRange(answer.status()) && size > 1) {
      size /= 2;
      continue;
    }
    RETURN_IF_ERROR(answer.status());
    EventPlace place;
    v1::Event event;
    for (RowReader row(*answer); !row.AtEnd();) {
      event.Clear();
      if (!ReadEvent(row, place, event)) return Unreadable();
      // Stored twice, it stands behind itself.
      if (mark == place) continue;
      mark = place;
      page.events.push_back(std::move(event));
    }
    return page;
  }
}

absl::StatusOr<GroupPage> Reader::Group(const EventFilter& filter,
                                        const std::vector<GroupField>& fields, uint32_t limit,
                                        const EventStore::Cancelled& cancelled) {
  if (limit == 0 || limit > kMaxGroups) limit = kMaxGroups;
  std::vector<std::string> columns;
  std::vector<std::string> keys;
  for (const GroupField field : fields) {
    keys.push_back(absl::StrCat("k", keys.size()));
    columns.push_back(absl::StrCat(ColumnOf(field), " AS ", keys.back(), ", "));
  }
  // FINAL: what was stored twice counts once.
  ASSIGN_OR_RETURN(
      const std::string answer,
      Ask(absl::StrCat("SELECT ", absl::StrJoin(columns, ""),
                       "sum(attempts) AS n, min(time) AS first, max(time + length) AS last FROM "
                       "events FINAL WHERE ",
                       Matching(filter), " AND ", IsCounted(filter),
                       keys.empty() ? "" : " GROUP BY ", absl::StrJoin(keys, ", "),
                       " HAVING n > 0 ORDER BY n DESC, last DESC LIMIT ", limit + 1),
          cancelled, kMaxAnswerBytes));
  GroupPage page;
  for (RowReader row(answer); !row.AtEnd();) {
    if (page.groups.size() == limit) {
      page.truncated = true;
      break;
    }
    v1::Group& group = page.groups.emplace_back();
    for (const GroupField field : fields) group.add_values(GroupValue(field, row.Text()));
    group.set_count(row.Read<uint64_t>());
    group.set_first_ns(row.Read<uint64_t>());
    group.set_last_ns(row.Read<uint64_t>());
    if (!row.ok()) return Unreadable();
  }
  return page;
}

absl::StatusOr<v1::Completeness> Reader::Complete(const EventFilter& filter, int64_t now) {
  const EventStore::Cancelled nobody = [] { return false; };
  // Before the gaps: what a host is said to have sent is among them then.
  StoreState state;
  ASSIGN_OR_RETURN(const std::string hosts,
                   Ask(absl::StrCat("SELECT host, least(first_seen, first_event), last_seen, "
                                    "connected AND collector IN (",
                                    LivingCollectors(),
                                    "), oldest_pending, not_watched FROM hosts FINAL WHERE "
                                    "forgotten = 0 ORDER BY host"),
                       nobody, kMaxAnswerBytes));
  for (RowReader row(hosts); !row.AtEnd();) {
    KnownHost& host = state.hosts.emplace_back();
    host.name = std::string(row.Text());
    host.first = row.Read<int64_t>();
    host.last_seen = row.Read<int64_t>();
    host.connected = row.Read<uint8_t>() != 0;
    host.oldest_pending = row.Read<int64_t>();
    host.not_watched = row.Read<int64_t>();
    if (!row.ok()) return Unreadable();
  }
  ASSIGN_OR_RETURN(const std::string expired,
                   Ask("SELECT max(before) FROM expiry", nobody, kMaxAnswerBytes));
  if (const auto before = RowReader(expired).Read<int64_t>(); before > 0) state.expired = before;

  const std::string gaps =
      absl::StrCat("FROM events FINAL WHERE kind = ", static_cast<int>(v1::Event::GAP), " AND ",
                   InWindow(filter.window),
                   filter.hosts.empty() ? "" : absl::StrCat(" AND host IN ", List(filter.hosts)));
  ASSIGN_OR_RETURN(const std::string sum,
                   Ask(absl::StrCat("SELECT sum(attempts) ", gaps), nobody, kMaxAnswerBytes));
  ASSIGN_OR_RETURN(
      const std::string newest,
      Ask(absl::StrCat("SELECT ", kReadColumns, " ", gaps,
                       " ORDER BY time + length DESC, time DESC LIMIT ", kMaxGapsListed),
          nobody, kMaxAnswerBytes));
  bool readable = true;
  const auto recorded = [&](GapVisitor visit) -> absl::Status {
    EventPlace place;
    v1::Event event;
    for (RowReader row(newest); !row.AtEnd() && readable;) {
      event.Clear();
      readable = ReadEvent(row, place, event);
      if (readable) visit(place.host, std::move(*event.mutable_gap()));
    }
    return readable ? absl::OkStatus() : Unreadable();
  };
  ASSIGN_OR_RETURN(v1::Completeness answer,
                   CompletenessOf(state, filter.hosts, filter.window, now, recorded));
  // Those that are not listed count as well.
  answer.set_missing(std::max(answer.missing(), RowReader(sum).Read<uint64_t>()));
  return answer;
}

absl::StatusOr<std::vector<v1::Host>> Reader::Hosts(int64_t now) {
  ASSIGN_OR_RETURN(
      const std::string answer,
      Ask(
          absl::StrCat("SELECT ", kHostColumns, ", connected AND collector IN (",
                       LivingCollectors(), ") FROM hosts FINAL WHERE forgotten = 0 ORDER BY host"),
          [] { return false; }, kMaxAnswerBytes));
  std::vector<v1::Host> hosts;
  for (RowReader row(answer); !row.AtEnd();) {
    const HostRow known = ReadHost(row);
    const bool connected = row.Read<uint8_t>() != 0;
    v1::AgentState state;
    if (!row.ok() || !state.ParseFromString(known.state)) {
      return absl::DataLossError(absl::StrCat("the state of host ", known.host, " is damaged"));
    }
    v1::Host& host = hosts.emplace_back();
    host.set_host(known.host);
    host.set_agent(known.agent);
    host.set_version(known.version);
    host.set_first_seen_ns(static_cast<uint64_t>(known.first_seen));
    host.set_last_seen_ns(static_cast<uint64_t>(known.last_seen));
    host.set_connected(connected);
    host.set_mode(state.mode());
    host.set_generation(state.generation());
    host.set_events_lost(state.events_lost());
    host.set_healthy(state.healthy());
    host.set_oldest_pending_ns(static_cast<uint64_t>(known.oldest_pending));
    SetState(state, known.last_seen, now, host);
  }
  return hosts;
}

}  // namespace postern::server::clickhouse
