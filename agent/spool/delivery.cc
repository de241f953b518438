// SPDX-License-Identifier: Apache-2.0
// The uplink's side of the spool.
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/spool/spool.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::spool {
namespace {

// Once a second is often enough for what only narrows a gap after a disaster.
constexpr absl::Duration kMarkDeliveredEvery = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::vector<EpochState>> Spool::PendingEpochs() {
  MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Noted(Ready()));
  std::vector<EpochState> pending;
  for (const Epoch& epoch : epochs_) {
    const bool current = &epoch == &epochs_.back();
    if (current || epoch.state.acknowledged < epoch.state.last) pending.push_back(epoch.state);
  }
  return pending;
}

absl::StatusOr<v1::Batch> Spool::ReadBatch(uint64_t epoch_name, uint64_t after, int max_events,
                                           size_t max_bytes) {
  MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Noted(Ready()));
  const Epoch* epoch = FindEpoch(epoch_name);
  if (epoch == nullptr) return absl::NotFoundError("no such epoch in the spool");
  if (after > epoch->state.last) {
    return absl::OutOfRangeError(
        absl::StrCat("position ", after, " lies ahead of the spool's ", epoch->state.last));
  }
  v1::Batch batch;
  batch.set_epoch(epoch_name);
  batch.set_first_position(after + 1);
  const absl::Status status = FillBatch(*epoch, after, max_events, max_bytes, batch);
  store_->from.Reset();
  RETURN_IF_ERROR(Noted(status));
  if (batch.events().empty() && after < epoch->state.last) {
    return absl::OutOfRangeError(
        absl::StrCat("positions from ", after + 1, " are no longer in the spool"));
  }
  return batch;
}

v1::Event Spool::EventOf(const Row& row, const std::string& boot) const {
  v1::Event event;
  if (row.weight != Weight::kTombstone && row.event_intact &&
      event.ParseFromArray(row.event.data(), static_cast<int>(row.event.size()))) {
    return event;
  }
  if (!row.columns_intact) return CorruptGap(boot);
  event = GapOf(boot);
  event.set_time_ns(static_cast<uint64_t>(row.time_ns));
  v1::Gap* gap = event.mutable_gap();
  gap->set_reason(row.weight == Weight::kTombstone ? v1::Gap::SPOOL_FULL : v1::Gap::UNREADABLE);
  gap->set_count(static_cast<uint64_t>(row.attempts));
  gap->set_from_ns(static_cast<uint64_t>(row.time_ns));
  gap->set_to_ns(static_cast<uint64_t>(row.last_ns));
  return event;
}

v1::Event Spool::GapOf(const std::string& boot) const {
  v1::Event event;
  event.set_kind(v1::Event::GAP);
  event.set_host(options_.host);
  event.set_agent(options_.agent);
  event.set_boot(boot);
  return event;
}

v1::Event Spool::CorruptGap(const std::string& boot) const {
  v1::Event event = GapOf(boot);
  event.set_time_ns(static_cast<uint64_t>(std::max<int64_t>(DeliveredUntilNs(), 1)));
  v1::Gap* gap = event.mutable_gap();
  gap->set_reason(v1::Gap::SPOOL_CORRUPT);
  gap->set_from_ns(event.time_ns());
  gap->set_to_ns(
      std::max(event.time_ns(), static_cast<uint64_t>(absl::ToUnixNanos(options_.now()))));
  return event;
}

absl::StatusOr<RecordedEvents> Spool::ReadRecorded(int64_t next) {
  MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Noted(Ready()));
  RecordedEvents recorded;
  const absl::Status status = FillRecorded(next, recorded);
  store_->from.Reset();
  RETURN_IF_ERROR(Noted(status));
  return recorded;
}

absl::Status Spool::FillRecorded(int64_t after, RecordedEvents& recorded) {
  store_->from.Bind(after, std::numeric_limits<int64_t>::max());
  for (int64_t rows = 0; rows < kRowsAtOnce; ++rows) {
    ASSIGN_OR_RETURN(const bool more, store_->from.Step());
    if (!more) {
      recorded.next.reset();
      return absl::OkStatus();
    }
    const Row row = Store::ReadRow(store_->from);
    const auto epoch = std::find_if(epochs_.begin(), epochs_.end(), [&](const Epoch& candidate) {
      return candidate.ordinal == row.id >> kPositionBits;
    });
    recorded.events.push_back(EventOf(row, epoch == epochs_.end() ? "" : epoch->boot));
    recorded.next = row.id;
  }
  return absl::OkStatus();
}

absl::Status Spool::FillBatch(const Epoch& epoch, uint64_t after, int max_events, size_t max_bytes,
                              v1::Batch& batch) {
  size_t bytes = 0;
  int64_t next = epoch.Id(after + 1);
  store_->from.Bind(epoch.Id(after), epoch.last_id());
  while (batch.events_size() < max_events && bytes < max_bytes) {
    ASSIGN_OR_RETURN(const bool more, store_->from.Step());
    const Row row = more ? Store::ReadRow(store_->from) : Row();
    // Positions up to `end` have no row. Acknowledged ones were deleted, others lost.
    const int64_t end = more ? row.id - row.span : epoch.last_id();
    if (end >= next && after < epoch.state.acknowledged) break;
    RETURN_IF_ERROR(FillMissing(epoch, end, max_events, next, batch));
    if (!more || batch.events_size() == max_events) break;
    while (next < row.id && batch.events_size() < max_events) {
      batch.add_events();
      ++next;
    }
    if (batch.events_size() == max_events) break;
    *batch.add_events() = EventOf(row, epoch.boot);
    ++next;
    bytes += row.event.size();
    handed_out_ = std::max(handed_out_, row.id);
  }
  return absl::OkStatus();
}

absl::Status Spool::FillMissing(const Epoch& epoch, int64_t end, int max_events, int64_t& next,
                                v1::Batch& batch) {
  if (end - next >= static_cast<int64_t>(kMostMissing)) {
    return absl::DataLossError(absl::StrCat("the spool lacks ", end - next + 1, " positions"));
  }
  for (; next <= end && batch.events_size() < max_events; ++next) {
    *batch.add_events() = next == end ? CorruptGap(epoch.boot) : v1::Event();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<int64_t>> Spool::OldestAfter(uint64_t epoch_name, uint64_t after) {
  MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Noted(Ready()));
  const Epoch* epoch = FindEpoch(epoch_name);
  if (epoch == nullptr) return absl::NotFoundError("no such epoch in the spool");
  const int64_t id = epoch->Id(after);
  if (!oldest_unsent_.Knows(id)) {
    const absl::StatusOr<bool> found = store_->oldest.Bind(id, epochs_.back().last_id()).Step();
    if (!found.ok()) return Noted(found.status());
    oldest_unsent_.Begin(id, store_->oldest.Int(0), store_->oldest.Int(1));
    store_->oldest.Reset();
  }
  return oldest_unsent_.After(id);
}

absl::Status Spool::Acknowledge(uint64_t epoch_name, uint64_t position) {
  MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Noted(Ready()));
  const Epoch* epoch = FindEpoch(epoch_name);
  if (epoch == nullptr || position > epoch->state.last || position <= epoch->state.acknowledged) {
    return absl::OkStatus();
  }
  acknowledged_[epoch_name] = position;
  // Not to the disk: losing it repeats what the collector will drop.
  RETURN_IF_ERROR(Noted(Commit(/*durable=*/false, [] { return absl::OkStatus(); })));
  MarkDelivered();
  return absl::OkStatus();
}

absl::Status Spool::WriteAcknowledged() {
  const Epoch* newest = nullptr;
  for (const auto& [name, position] : acknowledged_) {
    Epoch* epoch = FindEpoch(name);
    if (epoch == nullptr || position <= epoch->state.acknowledged) continue;
    RETURN_IF_ERROR(SetAcknowledged(*epoch, position));
    if (newest == nullptr || epoch->ordinal > newest->ordinal) newest = epoch;
  }
  if (newest == nullptr) return absl::OkStatus();
  const EpochState& state = newest->state;
  RETURN_IF_ERROR(store_->set_mark.Bind(kNoBoot, kDeliveredEpochMark, state.epoch).Run());
  return store_->set_mark.Bind(kNoBoot, kDeliveredPositionMark, state.acknowledged).Run();
}

absl::Status Spool::SetAcknowledged(Epoch& epoch, uint64_t position) {
  store_->sums.Bind(epoch.acknowledged_id(), epoch.Id(position));
  while (true) {
    ASSIGN_OR_RETURN(const bool more, store_->sums.Step());
    if (!more) break;
    const auto weight = static_cast<Weight>(store_->sums.Int(1));
    shares_.Add({store_->sums.Int(0), weight}, -store_->sums.Int(2));
    if (weight != Weight::kTombstone) pending_ -= store_->sums.Int(3);
  }
  epoch.state.acknowledged = position;
  return store_->set_acknowledged.Bind(position, epoch.ordinal).Run();
}

void Spool::MarkDelivered() {
  const absl::Time now = options_.now();
  if (pending_ > 0 || now - delivered_at_ < kMarkDeliveredEvery) return;
  delivered_at_ = now;
  const UniqueFd file(open(absl::StrCat(options_.folder, "/", kDeliveredFileName).c_str(),
                           O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  const timespec times[2] = {absl::ToTimespec(now), absl::ToTimespec(now)};
  // Failing leaves an older time, and a wider gap if the spool is ever damaged.
  if (file.valid()) [[maybe_unused]]
    const int unused = futimens(file.get(), times);
}

absl::Status Spool::SetLocalOnly(bool local_only) {
  MutexLock lock(&mutex_);
  local_only_ = local_only;
  // Where that fails, the next append does it.
  return Noted(Commit(/*durable=*/false,
                      [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return Insert({}, {}); }));
}

absl::Status Spool::AcknowledgeLocally() {
  int64_t since = local_since_;
  for (Epoch& epoch : epochs_) {
    if (epoch.state.acknowledged >= epoch.state.last) continue;
    ASSIGN_OR_RETURN(const bool found,
                     store_->oldest.Bind(epoch.acknowledged_id(), epoch.last_id()).Step());
    const int64_t oldest = found ? std::max<int64_t>(store_->oldest.Int(1), 1) : since;
    store_->oldest.Reset();
    since = since == 0 ? oldest : std::min(since, oldest);
    RETURN_IF_ERROR(SetAcknowledged(epoch, epoch.state.last));
  }
  return since == local_since_ ? absl::OkStatus() : SetLocalSince(since);
}

absl::Status Spool::EndLocalOnly(absl::Time now) {
  if (local_since_ == 0) return absl::OkStatus();
  Entry entry;
  entry.event.set_kind(v1::Event::GAP);
  entry.event.set_time_ns(static_cast<uint64_t>(local_since_));
  entry.event.set_host(options_.host);
  entry.event.set_agent(options_.agent);
  entry.event.set_boot(options_.boot);
  v1::Gap* gap = entry.event.mutable_gap();
  gap->set_reason(v1::Gap::NO_COLLECTOR);
  gap->set_from_ns(entry.event.time_ns());
  gap->set_to_ns(std::max(entry.event.time_ns(), static_cast<uint64_t>(absl::ToUnixNanos(now))));
  RETURN_IF_ERROR(InsertEntry(entry, now));
  return SetLocalSince(0);
}

absl::Status Spool::SetLocalSince(int64_t time_ns) {
  local_since_ = time_ns;
  return store_->set_mark.Bind(kNoBoot, kLocalSinceMark, time_ns).Run();
}

absl::StatusOr<uint64_t> Spool::Renew(uint64_t epoch_name) {
  MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Noted(Ready()));
  const Epoch* epoch = FindEpoch(epoch_name);
  if (epoch == nullptr) return absl::NotFoundError("no such epoch in the spool");
  const bool current = epoch == &epochs_.back();
  const auto index = static_cast<size_t>(epoch - epochs_.data());
  uint64_t name = 0;
  if (getrandom(&name, sizeof(name), 0) != sizeof(name)) {
    return ErrnoStatus(errno, "random number for an epoch");
  }
  RETURN_IF_ERROR(Noted(Commit(/*durable=*/true, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return MoveToNewEpoch(index, name);
  })));
  // Rows have new ids, and none of them was handed out under these.
  handed_out_ = 0;
  oldest_unsent_.Forget();
  // The newest epoch is the one that is appended to: it must be of this boot.
  if (!current) RETURN_IF_ERROR(BeginEpoch());
  return name;
}

absl::Status Spool::MoveToNewEpoch(size_t index, uint64_t name) {
  Epoch& old = epochs_[index];
  Epoch renewed;
  renewed.ordinal = epochs_.back().ordinal + 1;
  renewed.boot = old.boot;
  renewed.state.epoch = name;
  renewed.state.last = old.state.last - old.state.acknowledged;
  RETURN_IF_ERROR(
      store_->insert_epoch.Bind(renewed.ordinal, name, renewed.boot, renewed.state.last).Run());
  RETURN_IF_ERROR(store_->move
                      .Bind(old.acknowledged_id(), renewed.Id(0) - old.acknowledged_id(),
                            old.acknowledged_id(), old.last_id())
                      .Run());
  RETURN_IF_ERROR(store_->set_last.Bind(old.state.acknowledged, old.ordinal).Run());
  old.state.last = old.state.acknowledged;
  epochs_.push_back(std::move(renewed));
  return absl::OkStatus();
}

}  // namespace postern::spool
