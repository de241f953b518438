// SPDX-License-Identifier: Apache-2.0
#include "server/store/partition_writer.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "common/status.h"
#include "postern/v1/event.pb.h"
#include "server/store/address.h"

namespace postern::server {
namespace {

constexpr const char* kInsert =
    "INSERT INTO events (host, span, time, length, kind, attempts, verdict, port, destination, "
    "traits, body, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
    "crc(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11))";

constexpr const char* kAddTraits =
    "INSERT INTO traits (hash, uid, user, exe, script, rule, unit, container, comm, body, crc) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
    "crc(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)) RETURNING id";

constexpr const char* kHostId =
    "INSERT INTO hosts (host, first_event, crc) VALUES (?1, ?2, crc(?1, ?2)) ON CONFLICT (host) DO "
    "UPDATE SET first_event = min(first_event, ?2), crc = crc(?1, min(first_event, ?2)) "
    "RETURNING id, first_event";

// Arguments are the senders' own to choose: bounds what a flood of them takes.
constexpr size_t kMaxTraitsBytes = size_t{32} << 20;
constexpr size_t kEntryOverhead = 96;

// Rows that are not summarized: a question reads all of them.
constexpr int64_t kSummarizeEvery = 65'536;

constexpr int kFoldPatienceMs = 200;

// SQLite's integers are signed; an epoch is just 64 bits.
int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }

void BindText(Statement& statement, int parameter, absl::string_view text) {
  if (!text.empty()) statement.Bind(parameter, text);
}

// The single number that a statement of one row answers with; ready for the next.
absl::StatusOr<std::optional<int64_t>> OneNumber(Statement& statement) {
  const absl::StatusOr<bool> row = statement.Step();
  std::optional<int64_t> number;
  if (row.ok() && *row) number = statement.Int(0);
  const absl::Status ended = row.ok() ? statement.Run() : row.status();
  statement.Reset();
  RETURN_IF_ERROR(ended);
  return number;
}

absl::Status RunAndReset(Statement& statement) {
  absl::Status status = statement.Run();
  statement.Reset();
  return status;
}

}  // namespace

void BindDestination(Statement& statement, int parameter, const Address& address) {
  if (const std::optional<int64_t> number = Ipv4Number(address)) {
    statement.Bind(parameter, *number);
  } else {
    statement.BindBlob(parameter, {reinterpret_cast<const char*>(address.data()), address.size()});
  }
}

absl::StatusOr<std::unique_ptr<PartitionWriter>> PartitionWriter::Open(const std::string& file) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database, OpenPartitionToWrite(file));
  ASSIGN_OR_RETURN(const PartitionBounds bounds, ReadBounds(*database));
  ASSIGN_OR_RETURN(Statement insert, database->Prepare(kInsert));
  ASSIGN_OR_RETURN(Statement find_traits,
                   database->Prepare("SELECT id FROM traits WHERE hash = ?1 AND body = ?2"));
  ASSIGN_OR_RETURN(Statement add_traits, database->Prepare(kAddTraits));
  ASSIGN_OR_RETURN(Statement host_id, database->Prepare(kHostId));
  ASSIGN_OR_RETURN(Statement touch_host,
                   database->Prepare("UPDATE hosts SET first_event = ?2, crc = crc(host, ?2) "
                                     "WHERE id = ?1"));
  ASSIGN_OR_RETURN(
      Statement mark,
      database->Prepare("SELECT position, crc <> crc(epoch, host, position) FROM epochs "
                        "WHERE epoch = ?1"));
  ASSIGN_OR_RETURN(
      Statement set_mark,
      database->Prepare("INSERT INTO epochs (epoch, host, position, crc) VALUES (?1, ?2, ?3, "
                        "crc(?1, ?2, ?3)) ON CONFLICT (epoch) DO UPDATE SET host = ?2, "
                        "position = ?3, crc = crc(?1, ?2, ?3)"));
  ASSIGN_OR_RETURN(Statement set_bounds,
                   database->Prepare("UPDATE bounds SET first = ?1, newest = ?2, last = ?3, "
                                     "ended = ?4, spans = ?5, events = ?6, summarized = ?7, "
                                     "crc = crc(?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  return std::unique_ptr<PartitionWriter>(
      new PartitionWriter(std::move(database), bounds, std::move(insert), std::move(find_traits),
                          std::move(add_traits), std::move(host_id), std::move(touch_host),
                          std::move(mark), std::move(set_mark), std::move(set_bounds)));
}

absl::Status PartitionWriter::Begin() {
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(*database_, Transaction::Kind::kWrite));
  transaction_.emplace(std::move(transaction));
  return absl::OkStatus();
}

absl::Status PartitionWriter::Commit() {
  RETURN_IF_ERROR(WriteBounds());
  RETURN_IF_ERROR(transaction_->Commit());
  transaction_.reset();
  return absl::OkStatus();
}

void PartitionWriter::Rollback() {
  transaction_.reset();
  Forget();
}

void PartitionWriter::Forget() {
  traits_.clear();
  traits_bytes_ = 0;
  hosts_.clear();
  bounds_changed_ = false;
  // Where it cannot be read nothing can be written either.
  if (const absl::StatusOr<PartitionBounds> bounds = ReadBounds(*database_); bounds.ok()) {
    bounds_ = *bounds;
  }
}

absl::StatusOr<int64_t> PartitionWriter::Insert(const std::string& host,
                                                const PreparedEvents& events, size_t from,
                                                int64_t now) {
  int64_t earliest = std::numeric_limits<int64_t>::max();
  std::vector<int64_t> traits(events.traits().size());
  for (size_t i = from; i < events.events().size(); ++i) {
    const PreparedEvents::Event& event = events.events()[i];
    const EventRow& row = event.row;
    if (row.kind == v1::Event::KIND_UNSPECIFIED) continue;
    if (traits[event.traits] == 0) {
      ASSIGN_OR_RETURN(traits[event.traits], TraitsId(events.traits()[event.traits]));
    }
    ASSIGN_OR_RETURN(const int64_t host_id, HostId(host, row.time));
    // Parameters that are not bound are NULL.
    insert_.Bind(1, host_id);
    insert_.Bind(2, int64_t{row.span});
    insert_.Bind(3, row.time);
    insert_.Bind(4, row.last_time - row.time);
    insert_.Bind(5, row.kind);
    insert_.Bind(6, row.attempts);
    insert_.Bind(7, row.verdict);
    insert_.Bind(8, row.port.value_or(0));
    if (row.destination) BindDestination(insert_, 9, *row.destination);
    insert_.Bind(10, traits[event.traits]);
    insert_.BindBlob(11, events.RestOf(event));
    RETURN_IF_ERROR(RunAndReset(insert_));
    bounds_.Add(row, now);
    bounds_changed_ = true;
    earliest = std::min(earliest, row.time);
  }
  return earliest;
}

absl::StatusOr<std::optional<uint64_t>> PartitionWriter::Mark(uint64_t epoch) {
  mark_.Bind(1, Signed(epoch));
  const absl::StatusOr<bool> row = mark_.Step();
  std::optional<uint64_t> position;
  bool damaged = false;
  if (row.ok() && *row) {
    position = static_cast<uint64_t>(mark_.Int(0));
    damaged = mark_.Int(1) != 0;
  }
  mark_.Reset();
  RETURN_IF_ERROR(row.status());
  if (damaged) return absl::DataLossError("the mark of an epoch is not what was written");
  return position;
}

absl::Status PartitionWriter::SetMark(uint64_t epoch, const std::string& host, uint64_t position) {
  // An epoch whose events were all evicted has no host here.
  const auto known = hosts_.find(host);
  set_mark_.Bind(1, Signed(epoch));
  set_mark_.Bind(2, known == hosts_.end() ? int64_t{0} : known->second.id);
  set_mark_.Bind(3, Signed(position));
  return RunAndReset(set_mark_);
}

absl::StatusOr<int64_t> PartitionWriter::TraitsId(const PreparedEvents::Traits& traits) {
  if (const auto found = traits_.find(traits.bytes); found != traits_.end()) return found->second;
  find_traits_.Bind(1, traits.hash);
  find_traits_.BindBlob(2, traits.bytes);
  ASSIGN_OR_RETURN(std::optional<int64_t> id, OneNumber(find_traits_));
  if (!id) {
    v1::Event event;
    if (!event.ParseFromString(traits.bytes)) return absl::InternalError("traits cannot be read");
    add_traits_.Bind(1, traits.hash);
    if (event.has_uid()) add_traits_.Bind(2, int64_t{event.uid()});
    BindText(add_traits_, 3, event.user());
    BindText(add_traits_, 4, event.exe());
    BindText(add_traits_, 5, event.script());
    BindText(add_traits_, 6, event.rule());
    BindText(add_traits_, 7, event.unit());
    BindText(add_traits_, 8, event.container());
    BindText(add_traits_, 9, event.comm());
    add_traits_.BindBlob(10, traits.bytes);
    ASSIGN_OR_RETURN(id, OneNumber(add_traits_));
  }
  if (traits_bytes_ > kMaxTraitsBytes) {
    traits_.clear();
    traits_bytes_ = 0;
  }
  traits_bytes_ += traits.bytes.size() + kEntryOverhead;
  traits_.emplace(traits.bytes, *id);
  return *id;
}

absl::StatusOr<int64_t> PartitionWriter::HostId(const std::string& host, int64_t time) {
  const auto found = hosts_.find(host);
  if (found != hosts_.end()) {
    if (time >= found->second.first_event) return found->second.id;
    touch_host_.Bind(1, found->second.id);
    touch_host_.Bind(2, time);
    RETURN_IF_ERROR(RunAndReset(touch_host_));
    found->second.first_event = time;
    return found->second.id;
  }
  host_id_.Bind(1, absl::string_view(host));
  host_id_.Bind(2, time);
  const absl::StatusOr<bool> row = host_id_.Step();
  Host entry{0, time};
  if (row.ok() && *row) entry = {host_id_.Int(0), host_id_.Int(1)};
  const absl::Status ended = row.ok() ? host_id_.Run() : row.status();
  host_id_.Reset();
  RETURN_IF_ERROR(ended);
  hosts_.emplace(host, entry);
  return entry.id;
}

absl::Status PartitionWriter::WriteBounds() {
  if (!bounds_changed_) return absl::OkStatus();
  if (bounds_.events - bounds_.summarized >= kSummarizeEvery) {
    RETURN_IF_ERROR(Summarize(*database_, bounds_));
  }
  set_bounds_.Bind(1, bounds_.first);
  set_bounds_.Bind(2, bounds_.newest);
  set_bounds_.Bind(3, bounds_.last);
  set_bounds_.Bind(4, bounds_.ended);
  set_bounds_.Bind(5, bounds_.spans);
  set_bounds_.Bind(6, bounds_.events);
  set_bounds_.Bind(7, bounds_.summarized);
  RETURN_IF_ERROR(RunAndReset(set_bounds_));
  bounds_changed_ = false;
  return absl::OkStatus();
}

absl::Status PartitionWriter::SummarizeAll() {
  if (bounds_.events == bounds_.summarized) return absl::OkStatus();
  RETURN_IF_ERROR(Begin());
  absl::Status status = Summarize(*database_, bounds_);
  bounds_changed_ = true;
  if (status.ok()) status = Commit();
  if (!status.ok()) Rollback();
  return status;
}

absl::StatusOr<bool> PartitionWriter::FoldLog() {
  // Batches wait meanwhile: a reader that takes longer has it tried again later.
  sqlite3_busy_timeout(database_->handle(), kFoldPatienceMs);
  ASSIGN_OR_RETURN(const int64_t busy, database_->Number("PRAGMA wal_checkpoint(TRUNCATE)"));
  return busy == 0;
}

}  // namespace postern::server
