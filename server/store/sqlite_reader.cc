// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_reader.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/store/catalog.h"
#include "server/store/completeness.h"
#include "server/store/host_state.h"

namespace postern::server {
namespace {

// Steps of SQLite's machine between two looks at whether anyone still waits:
// some milliseconds.
constexpr int kStepsBetweenLooks = 100'000;

// Groups are collected before they are sent.
constexpr uint32_t kMaxGroups = 100'000;

// Kept for the next question. Each takes up to three files and 2 MiB.
constexpr size_t kMaxReaders = 8;

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

// A partition's share of a page.
struct PageSource {
  explicit PageSource(std::unique_ptr<CancelWatch> held) : watch(std::move(held)) {}

  std::unique_ptr<CancelWatch> watch;
  std::vector<EventCursor> cursors;
};

// Of one state of the catalog.
absl::StatusOr<StoreState> StateOf(Database& catalog) {
  StoreState state;
  ASSIGN_OR_RETURN(Statement select,
                   catalog.Prepare("SELECT host, min(first_seen, coalesce(first_event, "
                                   "first_seen)), last_seen, connected, oldest_pending, "
                                   "not_watched FROM hosts ORDER BY host"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) break;
    state.hosts.push_back({std::string(select.Text(0)), select.Int(1), select.Int(2),
                           select.Int(3) != 0, select.Int(4), select.Int(5)});
  }
  ASSIGN_OR_RETURN(state.expired, ExpiredBefore(catalog));
  ASSIGN_OR_RETURN(const std::vector<Partition> partitions, PartitionsOf(catalog));
  for (const Partition& partition : partitions) {
    if (partition.state != PartitionState::kSetAside) continue;
    state.damaged.push_back({partition.bounds.first, partition.bounds.last});
  }
  return state;
}

bool Older(const PageMark& a, const PageMark& b) {
  return std::tie(a.time, a.partition, a.id) < std::tie(b.time, b.partition, b.id);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteReader>> SqliteReader::Open(const std::string& path,
                                                                 size_t max_group_bytes) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> catalog, Database::OpenToRead(path));
  RETURN_IF_ERROR(catalog->Execute("PRAGMA query_only = 1"));
  return std::unique_ptr<SqliteReader>(new SqliteReader(path, std::move(catalog), max_group_bytes));
}

absl::StatusOr<bool> SqliteReader::IsListed(const Partition& partition) {
  ASSIGN_OR_RETURN(const std::vector<Partition> partitions, PartitionsOf(*catalog_));
  return std::any_of(partitions.begin(), partitions.end(), [&](const Partition& known) {
    return known.number == partition.number && known.state <= PartitionState::kSealed;
  });
}

absl::Status SqliteReader::Told(int64_t number, absl::Status status) {
  if (absl::IsDataLoss(status)) damaged_ = number;
  return status;
}

absl::StatusOr<PartitionReader*> SqliteReader::ReaderOf(const Partition& partition) {
  const auto found = readers_.find(partition.number);
  if (found != readers_.end() && found->second->state() == partition.state) {
    return found->second.get();
  }
  absl::StatusOr<std::unique_ptr<PartitionReader>> opened =
      PartitionReader::Open(PartitionFile(path_, partition.number), partition);
  if (absl::IsNotFound(opened.status())) {
    ASSIGN_OR_RETURN(const bool listed, IsListed(partition));
    if (!listed) return nullptr;
    return Told(partition.number, absl::DataLossError(std::string(opened.status().message())));
  }
  if (!opened.ok()) return Told(partition.number, opened.status());
  std::unique_ptr<PartitionReader>& reader = readers_[partition.number];
  reader = *std::move(opened);
  return reader.get();
}

absl::StatusOr<std::vector<SqliteReader::Candidate>> SqliteReader::CandidatesFor(
    const TimeWindow& window) {
  ASSIGN_OR_RETURN(std::vector<Partition> partitions, PartitionsOf(*catalog_));
  // Files that were dropped are let go; of many the oldest first.
  for (auto it = readers_.begin(); it != readers_.end();) {
    const bool listed =
        std::any_of(partitions.begin(), partitions.end(),
                    [&](const Partition& known) { return known.number == it->first; });
    it = listed && readers_.size() <= kMaxReaders ? std::next(it) : readers_.erase(it);
  }
  std::vector<Candidate> candidates;
  for (Partition& partition : partitions) {
    if (partition.state == PartitionState::kOpen) {
      ASSIGN_OR_RETURN(PartitionReader * reader, ReaderOf(partition));
      if (reader == nullptr) continue;
      const absl::StatusOr<PartitionBounds> bounds = reader->Bounds();
      if (!bounds.ok()) return Told(partition.number, bounds.status());
      partition.bounds = *bounds;
    } else if (partition.state != PartitionState::kSealed) {
      continue;
    }
    if (partition.bounds.Touches(window)) candidates.push_back(partition);
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.bounds.newest > b.bounds.newest;
  });
  return candidates;
}

absl::Status SqliteReader::ForEach(const std::vector<Candidate>& candidates,
                                   absl::FunctionRef<absl::Status(PartitionReader&)> ask) {
  for (const Candidate& candidate : candidates) {
    ASSIGN_OR_RETURN(PartitionReader * reader, ReaderOf(candidate));
    if (reader != nullptr) RETURN_IF_ERROR(Told(candidate.number, ask(*reader)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::Event>> SqliteReader::FindPage(
    const EventFilter& filter, size_t limit, const EventStore::Cancelled& cancelled,
    PageMark& mark) {
  ASSIGN_OR_RETURN(const std::vector<Candidate> candidates, CandidatesFor(filter.window));
  // A partition is opened when it is its turn: mostly one or two are.
  auto next = candidates.begin();
  std::vector<PageSource> sources;
  std::vector<v1::Event> events;
  PageMark last;
  while (events.size() < limit) {
    PageSource* source = nullptr;
    size_t newest = 0;
    for (PageSource& each : sources) {
      for (size_t i = 0; i < each.cursors.size(); ++i) {
        if (source == nullptr || Older(source->cursors[newest].place(), each.cursors[i].place())) {
          source = &each;
          newest = i;
        }
      }
    }
    if (next != candidates.end() &&
        (source == nullptr || next->bounds.newest >= source->cursors[newest].place().time)) {
      const Candidate& candidate = *next++;
      // All of it came on pages before.
      if (candidate.bounds.first > mark.time) continue;
      ASSIGN_OR_RETURN(PartitionReader * reader, ReaderOf(candidate));
      if (reader == nullptr) continue;
      PageSource& opened =
          sources.emplace_back(std::make_unique<CancelWatch>(reader->database(), cancelled));
      absl::StatusOr<std::vector<EventCursor>> cursors = reader->Cursors(filter, mark);
      if (!cursors.ok()) return Told(candidate.number, cursors.status());
      opened.cursors = *std::move(cursors);
      continue;
    }
    if (source == nullptr) break;
    EventCursor& cursor = source->cursors[newest];
    last = cursor.place();
    if (absl::Status read = cursor.Read(events.emplace_back()); !read.ok()) {
      return Told(last.partition, std::move(read));
    }
    const absl::StatusOr<bool> more = cursor.Next();
    if (!more.ok()) return Told(last.partition, more.status());
    if (!*more)
      source->cursors.erase(source->cursors.begin() + static_cast<std::ptrdiff_t>(newest));
  }
  if (!events.empty()) mark = last;
  return events;
}

absl::StatusOr<GroupPage> SqliteReader::Group(const EventFilter& filter,
                                              const std::vector<GroupField>& fields, uint32_t limit,
                                              const EventStore::Cancelled& cancelled) {
  GroupSums sums(fields, limit == 0 ? kMaxGroups : std::min(limit, kMaxGroups), max_group_bytes_);
  while (sums.NextPass()) {
    ASSIGN_OR_RETURN(const std::vector<Candidate> candidates, CandidatesFor(filter.window));
    RETURN_IF_ERROR(ForEach(candidates, [&](PartitionReader& reader) {
      CancelWatch watch(reader.database(), cancelled);
      return reader.Group(filter, sums);
    }));
  }
  return sums.Take();
}

absl::StatusOr<v1::Completeness> SqliteReader::Complete(const EventFilter& filter, int64_t now) {
  // What the catalog says has arrived is in the partitions that are read after it.
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(*catalog_, Transaction::Kind::kRead));
  const auto recorded = [&](GapVisitor visit) -> absl::Status {
    ASSIGN_OR_RETURN(const std::vector<Candidate> candidates, CandidatesFor(filter.window));
    return ForEach(candidates, [&](PartitionReader& reader) {
      return reader.Gaps(filter.hosts, filter.window,
                         [&](RecordedGap gap) { visit(gap.host, std::move(gap.gap)); });
    });
  };
  ASSIGN_OR_RETURN(StoreState state, StateOf(*catalog_));
  if (connections_forgotten_) {
    for (KnownHost& host : state.hosts) host.connected = false;
  }
  ASSIGN_OR_RETURN(v1::Completeness answer,
                   CompletenessOf(state, filter.hosts, filter.window, now, recorded));
  RETURN_IF_ERROR(transaction.Commit());
  return answer;
}

absl::StatusOr<std::vector<v1::Host>> SqliteReader::Hosts(int64_t now) {
  ASSIGN_OR_RETURN(
      Statement select,
      catalog_->Prepare("SELECT host, agent, version, first_seen, last_seen, "
                        "connected, mode, generation, events_lost, healthy, state, oldest_pending "
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
    host.set_connected(select.Int(5) != 0 && !connections_forgotten_);
    host.set_mode(std::string(select.Text(6)));
    host.set_generation(static_cast<uint32_t>(select.Int(7)));
    host.set_events_lost(static_cast<uint64_t>(select.Int(8)));
    host.set_healthy(select.Int(9) != 0);
    v1::AgentState state;
    const absl::string_view bytes = select.Blob(10);
    if (!state.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return absl::DataLossError(absl::StrCat("the state of host ", host.host(), " is damaged"));
    }
    SetState(state, select.Int(4), now, host);
    host.set_oldest_pending_ns(static_cast<uint64_t>(select.Int(11)));
  }
}

}  // namespace postern::server
