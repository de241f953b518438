// SPDX-License-Identifier: Apache-2.0
#include "server/store/partition_reader.h"

#include <algorithm>
#include <optional>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/store/address.h"
#include "server/store/event_parts.h"
#include "server/store/partition_groups.h"
#include "server/store/schema.h"

namespace postern::server {
namespace {

// The record of a canary that was denied as it has to be: not one that failed.
std::string ProofSql() {
  return absl::StrCat("(e.kind = ", static_cast<int>(v1::Event::CANARY),
                      " AND e.verdict = ", static_cast<int>(v1::Event::DENIED), ")");
}

// What is an answer; gaps are told by the completeness.
std::string FoundSql(const EventFilter& filter) {
  return filter.canaries ? "e.kind <> 2" : absl::StrCat("e.kind <> 2 AND NOT ", ProofSql());
}

// What is an attempt: a connect, where nobody asks for other kinds.
std::string CountedSql(const EventFilter& filter) {
  if (!filter.kinds.empty()) return FoundSql(filter);
  return filter.canaries ? absl::StrCat("(e.kind = 1 OR ", ProofSql(), ")") : "e.kind = 1";
}

// Whole hours within a window: first <= hour < end. Events before 1970 there are none.
struct Hours {
  int64_t first;
  int64_t end;
};

Hours HoursIn(const TimeWindow& window) {
  const int64_t since = std::max<int64_t>(window.since, 0);
  return {since / kSummaryNs + (since % kSummaryNs == 0 ? 0 : 1),
          std::max<int64_t>(window.until, 0) / kSummaryNs};
}

// At least half of the time over which a partition's events begin.
bool CoversMost(const TimeWindow& window, const PartitionBounds& bounds) {
  const int64_t begin = std::max(window.since, bounds.first);
  const int64_t end = std::min(window.until, bounds.newest);
  return begin < end && end - begin >= (bounds.newest - bounds.first) / 2;
}

}  // namespace

absl::Status EventCursor::Read(v1::Event& event) const {
  const auto damaged = [this] {
    return absl::DataLossError(absl::StrCat("event ", select_.Int(1), " of partition ", partition_,
                                            " is not what was written"));
  };
  if (select_.Int(9) == 0) return damaged();
  EventRow row;
  row.time = select_.Int(0);
  row.last_time = row.time + select_.Int(2);
  row.attempts = select_.Int(3);
  if (select_.Int(4) != 0) row.port = select_.Int(4);
  if (select_.IsInt(5)) {
    row.destination = Ipv4FromNumber(select_.Int(5));
  } else {
    row.destination = AddressFromBytes(select_.Blob(5));
  }
  if (!Join(select_.Text(6), select_.Blob(7), select_.Blob(8), row, event)) {
    return damaged();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<PartitionReader>> PartitionReader::Open(const std::string& file,
                                                                       const Partition& partition) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database, OpenPartitionToRead(file, partition.state));
  return std::unique_ptr<PartitionReader>(new PartitionReader(std::move(database), partition));
}

absl::StatusOr<PartitionBounds> PartitionReader::Bounds() { return ReadBounds(*database_); }

absl::StatusOr<std::vector<EventCursor>> PartitionReader::Cursors(const EventFilter& filter,
                                                                  const PageMark& mark) {
  ASSIGN_OR_RETURN(const PartitionBounds bounds, Bounds());
  // Later pages begin in the index where the last one ended: of the two bounds
  // on the time SQLite seeks to the first it finds.
  EventFilter rest = filter;
  if (mark.time < rest.window.until) rest.window.until = mark.time + 1;
  // Of one time, those of later partitions came first.
  const int64_t before_id = number_ < mark.partition   ? std::numeric_limits<int64_t>::max()
                            : number_ > mark.partition ? 0
                                                       : mark.id;
  std::vector<EventCursor> cursors;
  for (const EventSource& source : SourcesOf(rest, bounds.spans)) {
    Parameters parameters;
    std::string sql = absl::StrCat(
        "SELECT e.time, e.id, e.length, e.attempts, e.port, e.destination, h.host, t.body, "
        "e.body, ",
        kSoundEvent, " AND ", kSoundHost, " AND ", kSoundTraits, " ",
        FromEvents(rest, source, /*joins=*/true, parameters), " AND ", FoundSql(filter),
        " AND (e.time, e.id) < (");
    absl::StrAppend(&sql, parameters.Add(mark.time), ", ");
    absl::StrAppend(&sql, parameters.Add(before_id), ") ORDER BY e.time DESC, e.id DESC");
    ASSIGN_OR_RETURN(Statement statement, database_->Prepare(sql));
    parameters.BindTo(statement);
    EventCursor cursor(std::move(statement), number_);
    ASSIGN_OR_RETURN(const bool row, cursor.Next());
    if (row) cursors.push_back(std::move(cursor));
  }
  return cursors;
}

absl::Status PartitionReader::Group(const EventFilter& filter, GroupSums& sums) {
  // One state of the file for the summaries and for what they do not tell yet.
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(*database_, Transaction::Kind::kRead));
  ASSIGN_OR_RETURN(const PartitionBounds bounds, Bounds());
  PartitionGroups groups(*database_, sums);
  const auto add = [&](bool of_summaries, const std::string& from, const Parameters& parameters) {
    return groups.Add(of_summaries, absl::StrCat(from, " AND ", CountedSql(filter)), parameters);
  };
  // Those that begin at `from` or later and match the filter with this window.
  const auto add_events = [&](const TimeWindow& window, int64_t from) -> absl::Status {
    EventFilter part = filter;
    part.window = window;
    for (const EventSource& source : SourcesOf(part, bounds.spans)) {
      Parameters parameters;
      std::string sql = FromEvents(part, source, /*joins=*/false, parameters);
      absl::StrAppend(&sql, " AND e.time >= ", parameters.Add(from));
      RETURN_IF_ERROR(add(false, sql, parameters));
    }
    return absl::OkStatus();
  };

  constexpr int64_t kEver = std::numeric_limits<int64_t>::min();
  const Hours hours = HoursIn(filter.window);
  const bool by_destination = !filter.destinations.empty() ||
                              absl::c_linear_search(sums.fields(), GroupField::kDestination);
  if (by_destination && filter.hosts.empty() && CoversMost(filter.window, bounds)) {
    // Row by row as they lie: an index would look each of them up.
    Parameters parameters;
    std::string sql = FromEventsAfter(filter, /*id=*/0, parameters);
    // Where all rows are within, none needs to be asked.
    if (bounds.newest >= filter.window.until) {
      absl::StrAppend(&sql, " AND e.time < ", parameters.Add(filter.window.until));
    }
    if (bounds.first < filter.window.since) {
      absl::StrAppend(&sql, " AND e.time + e.length >= ", parameters.Add(filter.window.since));
    }
    RETURN_IF_ERROR(add(false, sql, parameters));
  } else if (by_destination || hours.first >= hours.end) {
    RETURN_IF_ERROR(add_events(filter.window, kEver));
  } else {
    const int64_t first = hours.first * kSummaryNs;
    const int64_t end = hours.end * kSummaryNs;
    {
      Parameters parameters;
      const std::string sql = FromSummaries(filter, hours.first, hours.end, parameters);
      RETURN_IF_ERROR(add(true, sql, parameters));
    }
    {
      Parameters parameters;
      std::string sql = FromEventsAfter(filter, bounds.summarized, parameters);
      absl::StrAppend(&sql, " AND e.time >= ", parameters.Add(first));
      absl::StrAppend(&sql, " AND e.time < ", parameters.Add(end));
      RETURN_IF_ERROR(add(false, sql, parameters));
    }
    // What reaches in, or begins in the hour that the window cuts.
    RETURN_IF_ERROR(add_events({filter.window.since, first}, kEver));
    if (end < filter.window.until) {
      RETURN_IF_ERROR(add_events({end, filter.window.until}, end));
    }
  }
  RETURN_IF_ERROR(groups.Flush());
  return transaction.Commit();
}

absl::Status PartitionReader::Gaps(const std::vector<std::string>& hosts, const TimeWindow& window,
                                   absl::FunctionRef<void(RecordedGap)> visit) {
  std::vector<std::optional<std::string>> asked(hosts.begin(), hosts.end());
  if (asked.empty()) asked.push_back(std::nullopt);
  ASSIGN_OR_RETURN(Statement select,
                   database_->Prepare(absl::StrCat(
                       "SELECT h.host, e.attempts, e.time, e.time + e.length, e.body, ",
                       kSoundEvent, " AND ", kSoundHost, " FROM ",
                       asked.front() ? "hosts h CROSS JOIN events e INDEXED BY events_gap "
                                       "WHERE h.host = ?3 AND e.host = h.id AND "
                                     : "events e INDEXED BY events_gap CROSS JOIN hosts h "
                                       "WHERE h.id = e.host AND ",
                       "e.kind = 2 AND e.time + e.length >= ?1 AND e.time < ?2")));
  for (const std::optional<std::string>& host : asked) {
    select.Bind(1, window.since);
    select.Bind(2, window.until);
    if (host) select.Bind(3, absl::string_view(*host));
    while (true) {
      ASSIGN_OR_RETURN(const bool row, select.Step());
      if (!row) break;
      if (select.Int(5) == 0) return absl::DataLossError("a gap is not what was written");
      RecordedGap found;
      found.host = std::string(select.Text(0));
      v1::Event event;
      const absl::string_view body = select.Blob(4);
      if (event.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
        found.gap = std::move(*event.mutable_gap());
      }
      found.gap.set_count(static_cast<uint64_t>(select.Int(1)));
      found.gap.set_from_ns(static_cast<uint64_t>(select.Int(2)));
      found.gap.set_to_ns(static_cast<uint64_t>(select.Int(3)));
      visit(std::move(found));
    }
    select.Reset();
  }
  return absl::OkStatus();
}

}  // namespace postern::server
