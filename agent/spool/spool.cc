// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/spool.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/event_kind.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::spool {
namespace {

constexpr absl::Duration kExpireEvery = absl::Seconds(30);

absl::StatusOr<uint64_t> RandomEpoch() {
  uint64_t epoch = 0;
  while (epoch == 0) {
    if (getrandom(&epoch, sizeof(epoch), 0) != sizeof(epoch)) {
      return ErrnoStatus(errno, "random number for an epoch");
    }
  }
  return epoch;
}

Weight WeightOf(const v1::Event& event) {
  // Of canaries there are many, and no attempt of anybody's goes with them.
  if (event.kind() == v1::Event::CANARY) return Weight::kAllowed;
  if (!IsAttempt(event.kind())) return Weight::kFixed;
  switch (event.verdict()) {
    case v1::Event::ALLOWED:
    case v1::Event::REDIRECTED:
      return Weight::kAllowed;
    default:
      return Weight::kDenied;
  }
}

// There was a spool, what lies beside it says, and its file is missing or as good as
// empty.
bool IsGone(const std::string& folder) {
  struct stat file = {};
  const bool there = stat(absl::StrCat(folder, "/", kFileName).c_str(), &file) == 0;
  if (there ? file.st_size >= kSmallestFile : errno != ENOENT) return false;
  return access(absl::StrCat(folder, "/", kDeliveredFileName).c_str(), F_OK) == 0 ||
         access(absl::StrCat(folder, "/", kReserveFileName).c_str(), F_OK) == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Spool>> Spool::Open(Options options) {
  std::unique_ptr<Spool> spool(new Spool(std::move(options)));
  MutexLock lock(&spool->mutex_);
  // SQLite would take it for a new one.
  if (IsGone(spool->options_.folder)) RETURN_IF_ERROR(spool->SetFileAside());
  RETURN_IF_ERROR(spool->OpenStore());
  spool->KeepReserve(kReserveBytes);
  return spool;
}

Spool::~Spool() {
  MutexLock lock(&mutex_);
  // The log goes with its room, which others would take on a disk that is full.
  store_.reset();
  KeepReserve(kReserveBytes);
}

absl::Status Spool::OpenStore() {
  absl::Status status = TryOpenStore();
  if (!absl::IsDataLoss(status)) return status;
  store_.reset();
  RETURN_IF_ERROR(SetFileAside());
  return TryOpenStore();
}

absl::Status Spool::TryOpenStore() {
  ASSIGN_OR_RETURN(store_, Store::Open(absl::StrCat(options_.folder, "/", kFileName)));
  if (options_.max_pages > 0) {
    RETURN_IF_ERROR(
        store_->database().Execute(absl::StrCat("PRAGMA max_page_count=", options_.max_pages)));
  }
  stale_ = true;
  damaged_ = false;
  handed_out_ = 0;
  return BeginEpoch();
}

absl::Status Spool::SetFileAside() {
  const std::string path = absl::StrCat(options_.folder, "/", kFileName);
  const std::string aside = absl::StrCat(
      path, ".corrupt-", absl::FormatTime("%Y%m%dT%H%M%SZ", options_.now(), absl::UTCTimeZone()));
  SetAside set_aside;
  if (rename(path.c_str(), aside.c_str()) == 0) {
    set_aside.path = aside;
  } else if (errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("setting aside ", path));
  }
  // The log belongs to the file it was written for: SQLite would replay it into
  // the new one.
  const std::string log = absl::StrCat(path, "-wal");
  if (rename(log.c_str(), absl::StrCat(aside, "-wal").c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("setting aside ", log));
  }
  set_aside.delivered_until_ns = DeliveredUntilNs();
  set_aside_.push_back(std::move(set_aside));
  return absl::OkStatus();
}

int64_t Spool::DeliveredUntilNs() const {
  struct stat delivered = {};
  if (stat(absl::StrCat(options_.folder, "/", kDeliveredFileName).c_str(), &delivered) != 0) {
    return 0;
  }
  return absl::ToUnixNanos(absl::TimeFromTimespec(delivered.st_mtim));
}

std::vector<SetAside> Spool::TakeSetAside() {
  MutexLock lock(&mutex_);
  return std::exchange(set_aside_, {});
}

absl::Status Spool::Recover() {
  MutexLock lock(&mutex_);
  damaged_ = true;
  store_.reset();
  // Where an earlier call came this far and no further, the file is gone already.
  const std::string path = absl::StrCat(options_.folder, "/", kFileName);
  if (access(path.c_str(), F_OK) == 0) RETURN_IF_ERROR(SetFileAside());
  return OpenStore();
}

absl::Status Spool::Noted(absl::Status status) {
  if (absl::IsDataLoss(status)) damaged_ = true;
  return status;
}

absl::Status Spool::Ready() {
  if (damaged_ || store_ == nullptr) {
    return absl::DataLossError(absl::StrCat(options_.folder, "/", kFileName, " is damaged"));
  }
  if (!stale_) return absl::OkStatus();
  epochs_.clear();
  shares_ = Shares();
  pending_ = 0;
  store_->epochs.Bind();
  while (true) {
    ASSIGN_OR_RETURN(const bool more, store_->epochs.Step());
    if (!more) break;
    Epoch epoch;
    epoch.ordinal = store_->epochs.Int(0);
    epoch.state.epoch = static_cast<uint64_t>(store_->epochs.Int(1));
    epoch.boot = std::string(store_->epochs.Bytes(2));
    epoch.state.last = static_cast<uint64_t>(store_->epochs.Int(3));
    epoch.state.acknowledged = static_cast<uint64_t>(store_->epochs.Int(4));
    epochs_.push_back(std::move(epoch));
  }
  for (const Epoch& epoch : epochs_) {
    store_->sums.Bind(epoch.acknowledged_id(), epoch.last_id());
    while (true) {
      ASSIGN_OR_RETURN(const bool more, store_->sums.Step());
      if (!more) break;
      const auto weight = static_cast<Weight>(store_->sums.Int(1));
      shares_.Add({store_->sums.Int(0), weight}, store_->sums.Int(2));
      if (weight != Weight::kTombstone) pending_ += store_->sums.Int(3);
    }
  }
  ASSIGN_OR_RETURN(bytes_, store_->database().Number("SELECT sum(bytes) FROM events"));
  ASSIGN_OR_RETURN(const bool local, store_->mark.Bind(kNoBoot, kLocalSinceMark).Step());
  local_since_ = local ? store_->mark.Int(0) : 0;
  store_->mark.Reset();
  oldest_unsent_.Forget();
  stale_ = false;
  return absl::OkStatus();
}

absl::Status Spool::Commit(bool durable, absl::FunctionRef<absl::Status()> body) {
  absl::Status status = TryCommit(durable, body);
  if (!absl::IsResourceExhausted(status)) return status;
  // Also where it came only part of the way: that may be enough.
  FreeDisk().IgnoreError();
  status = TryCommit(durable, body);
  KeepReserve(kReserveBytes);
  return status;
}

absl::Status Spool::TryCommit(bool durable, absl::FunctionRef<absl::Status()> body) {
  RETURN_IF_ERROR(Ready());
  RETURN_IF_ERROR(store_->SetDurable(durable));
  const uint64_t evicted = evicted_;
  stale_ = true;
  absl::Status status = RunTransaction(body);
  if (status.ok()) {
    stale_ = false;
    acknowledged_.clear();
  } else {
    evicted_ = evicted;
  }
  return status;
}

absl::Status Spool::RunTransaction(absl::FunctionRef<absl::Status()> body) {
  Transaction transaction(store_->database());
  RETURN_IF_ERROR(transaction.Begin());
  RETURN_IF_ERROR(WriteAcknowledged());
  RETURN_IF_ERROR(body());
  return transaction.Commit();
}

absl::Status Spool::BeginEpoch() {
  ASSIGN_OR_RETURN(const uint64_t name, RandomEpoch());
  const absl::Status status =
      Commit(/*durable=*/true, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> absl::Status {
        Database& database = store_->database();
        RETURN_IF_ERROR(database.Execute(
            "DELETE FROM epochs WHERE acknowledged >= last AND NOT EXISTS (SELECT 1 FROM events "
            "WHERE id >> 40 = ordinal)"));
        ASSIGN_OR_RETURN(Statement forget,
                         database.Prepare("DELETE FROM marks WHERE boot NOT IN (?, ?)"));
        RETURN_IF_ERROR(forget.Bind(options_.boot, kNoBoot).Run());
        Epoch epoch;
        epoch.ordinal = epochs_.empty() ? 1 : epochs_.back().ordinal + 1;
        epoch.boot = options_.boot;
        epoch.state.epoch = name;
        RETURN_IF_ERROR(store_->insert_epoch.Bind(epoch.ordinal, name, epoch.boot, 0).Run());
        epochs_.push_back(std::move(epoch));
        return absl::OkStatus();
      });
  RETURN_IF_ERROR(Noted(status));
  stale_ = true;  // epochs were deleted
  return Ready();
}

Spool::Epoch* Spool::FindEpoch(uint64_t epoch) {
  for (Epoch& candidate : epochs_) {
    if (candidate.state.epoch == epoch) return &candidate;
  }
  return nullptr;
}

absl::Status Spool::Append(absl::Span<const Entry> entries, absl::Span<const Mark> marks) {
  MutexLock lock(&mutex_);
  absl::Status status =
      Noted(Commit(/*durable=*/true, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> absl::Status {
        RETURN_IF_ERROR(Insert(entries, marks));
        return LeaveRoomToDelete();
      }));
  if (status.ok() && reserve_bytes_ < kReserveBytes) KeepReserve(kReserveBytes);
  return status;
}

absl::Status Spool::Insert(absl::Span<const Entry> entries, absl::Span<const Mark> marks) {
  const Epoch& epoch = epochs_.back();
  const uint64_t last = epoch.state.last;
  const absl::Time now = options_.now();
  if (!local_only_) RETURN_IF_ERROR(EndLocalOnly(now));
  for (const Entry& entry : entries) RETURN_IF_ERROR(InsertEntry(entry, now));
  if (epoch.state.last > last) {
    RETURN_IF_ERROR(store_->set_last.Bind(epoch.state.last, epoch.ordinal).Run());
  }
  for (const Mark& mark : marks) {
    const absl::string_view boot = mark.outlives_boot ? kNoBoot : options_.boot;
    RETURN_IF_ERROR(store_->set_mark.Bind(boot, mark.name, mark.value).Run());
  }
  if (local_only_) RETURN_IF_ERROR(AcknowledgeLocally());
  if (now - expired_at_ >= kExpireEvery) {
    expired_at_ = now;
    RETURN_IF_ERROR(ExpireAcknowledged(now - (local_only_ ? kKeepUncollected : kKeepAcknowledged),
                                       /*enough_bytes=*/std::numeric_limits<int64_t>::max()));
  }
  return MakeRoom();
}

absl::Status Spool::InsertEntry(const Entry& entry, absl::Time now) {
  Epoch& epoch = epochs_.back();
  const v1::Event& event = entry.event;
  const std::string bytes = event.SerializeAsString();
  Row row;
  row.id = epoch.Id(++epoch.state.last);
  row.origin = entry.origin;
  row.uid = event.has_uid() ? int64_t{event.uid()} : kNoUid;
  row.weight = WeightOf(event);
  row.attempts = 1 + static_cast<int64_t>(event.repeats());
  row.time_ns = static_cast<int64_t>(event.time_ns());
  row.last_ns = event.has_last_time_ns() ? static_cast<int64_t>(event.last_time_ns()) : row.time_ns;
  row.stored_ns = absl::ToUnixNanos(now);
  row.bytes = static_cast<int64_t>(bytes.size()) + kRowOverheadBytes;
  row.event = bytes;
  RETURN_IF_ERROR(store_->Insert(row));
  shares_.Add({row.uid, row.weight}, row.bytes);
  oldest_unsent_.Add(row.id, row.time_ns);
  bytes_ += row.bytes;
  ++pending_;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<uint64_t>> Spool::FindMark(const std::string& name) {
  MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Noted(Ready()));
  absl::StatusOr<bool> found = store_->mark.Bind(options_.boot, name).Step();
  if (!found.ok()) return Noted(found.status());
  if (!*found) return std::nullopt;
  const uint64_t value = static_cast<uint64_t>(store_->mark.Int(0));
  store_->mark.Reset();
  return value;
}

absl::StatusOr<std::optional<v1::Event>> Spool::Find(uint64_t origin) {
  MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Noted(Ready()));
  absl::StatusOr<bool> found = store_->by_origin.Bind(origin, options_.boot).Step();
  if (!found.ok()) return Noted(found.status());
  if (!*found) return std::nullopt;
  const absl::string_view bytes = store_->by_origin.Bytes(0);
  v1::Event event;
  const bool parsed = store_->by_origin.Int(1) != 0 &&
                      event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  store_->by_origin.Reset();
  if (!parsed) return std::nullopt;
  return event;
}

uint64_t Spool::epoch() const {
  MutexLock lock(&mutex_);
  return epochs_.empty() ? 0 : epochs_.back().state.epoch;
}

absl::StatusOr<v1::EpochMark> Spool::LastAcknowledged() {
  MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Noted(Ready()));
  const auto read = [&](absl::string_view name)
                        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> absl::StatusOr<uint64_t> {
    ASSIGN_OR_RETURN(const bool found, store_->mark.Bind(kNoBoot, name).Step());
    const uint64_t value = found ? static_cast<uint64_t>(store_->mark.Int(0)) : 0;
    store_->mark.Reset();
    return value;
  };
  const absl::StatusOr<uint64_t> epoch = read(kDeliveredEpochMark);
  RETURN_IF_ERROR(Noted(epoch.status()));
  const absl::StatusOr<uint64_t> position = read(kDeliveredPositionMark);
  RETURN_IF_ERROR(Noted(position.status()));
  v1::EpochMark mark;
  mark.set_epoch(*epoch);
  mark.set_position(*position);
  return mark;
}

absl::StatusOr<Stats> Spool::GetStats() {
  MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Noted(Ready()));
  Stats stats;
  stats.events = static_cast<uint64_t>(pending_);
  stats.bytes = static_cast<uint64_t>(bytes_);
  stats.max_bytes = options_.max_bytes;
  stats.evicted = evicted_;
  for (const Epoch& epoch : epochs_) {
    if (epoch.state.acknowledged >= epoch.state.last) continue;
    absl::StatusOr<bool> found = store_->from.Bind(epoch.acknowledged_id(), epoch.last_id()).Step();
    if (!found.ok()) return Noted(found.status());
    if (!*found) continue;
    stats.oldest_ns = Store::ReadRow(store_->from).time_ns;
    store_->from.Reset();
    break;
  }
  return stats;
}

}  // namespace postern::spool
