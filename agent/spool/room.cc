// SPDX-License-Identifier: Apache-2.0
// Making room: what is acknowledged goes first, then what weighs most.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/spool/spool.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::spool {
namespace {

constexpr char kEmptyLog[] = "PRAGMA wal_checkpoint(RESTART)";
// Enough for the appends of a while, and soon done.
constexpr int64_t kFreedAtOnce = int64_t{16} << 20;

}  // namespace

absl::Status Spool::ExpireAcknowledged(absl::Time stored_before, int64_t enough_bytes) {
  const int64_t cutoff = stored_before == absl::InfiniteFuture()
                             ? std::numeric_limits<int64_t>::max()
                             : absl::ToUnixNanos(stored_before);
  int64_t freed = 0;
  for (const Epoch& epoch : epochs_) {
    int64_t rows = kRowsAtOnce;
    while (rows == kRowsAtOnce && freed < enough_bytes) {
      rows = 0;
      store_->expire.Bind(epoch.Id(0), epoch.acknowledged_id(), kRowsAtOnce, cutoff);
      while (true) {
        ASSIGN_OR_RETURN(const bool more, store_->expire.Step());
        if (!more) break;
        freed += store_->expire.Int(0);
        bytes_ -= store_->expire.Int(0);
        ++rows;
      }
    }
  }
  return absl::OkStatus();
}

void Spool::KeepReserve(int64_t bytes) {
  const std::string path = absl::StrCat(options_.folder, "/", kReserveFileName);
  const UniqueFd file(
      open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  struct stat held = {};
  struct statvfs disk = {};
  reserve_bytes_ = 0;
  if (fstat(file.get(), &held) != 0 || fstatvfs(file.get(), &disk) != 0) return;
  const auto room = static_cast<int64_t>(disk.f_bavail * disk.f_frsize);
  if (posix_fallocate(file.get(), 0, bytes) != 0) {
    bytes = std::min<int64_t>(bytes, held.st_blocks * 512 + room);
    if (bytes == 0 || posix_fallocate(file.get(), 0, bytes) != 0) return;
  }
  reserve_bytes_ = bytes;
}

absl::Status Spool::LeaveRoomToDelete() {
  ASSIGN_OR_RETURN(const int64_t owed, store_->OwedBytes());
  if (owed == 0) return absl::OkStatus();
  const int64_t needed = owed + kDeletionBytes;
  if (needed > reserve_bytes_) KeepReserve(needed);
  if (needed <= reserve_bytes_) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(options_.folder, "/", kFileName, ": the disk is full"));
}

absl::Status Spool::FreeDisk() {
  RETURN_IF_ERROR(Ready());
  // Deleting writes to the log first. What stands there goes into the file, so
  // that the log is written from its beginning, in room that it has already;
  // and again after each step. Both may have to grow for it: by the reserve.
  unlink(absl::StrCat(options_.folder, "/", kReserveFileName).c_str());
  reserve_bytes_ = 0;
  store_->database().Execute(kEmptyLog).IgnoreError();
  int64_t freed = 0;
  int64_t step = 1;
  while (step > 0 && freed < kFreedAtOnce) {
    const int64_t before = bytes_;
    RETURN_IF_ERROR(TryCommit(/*durable=*/true, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return ExpireAcknowledged(absl::InfiniteFuture(), /*enough_bytes=*/1);
    }));
    store_->database().Execute(kEmptyLog).IgnoreError();
    step = before - bytes_;
    freed += step;
  }
  return absl::OkStatus();
}

absl::Status Spool::MakeRoom() {
  if (bytes_ <= static_cast<int64_t>(options_.max_bytes)) return absl::OkStatus();
  const auto goal = static_cast<int64_t>(static_cast<double>(options_.max_bytes) * kLowWater);
  RETURN_IF_ERROR(ExpireAcknowledged(absl::InfiniteFuture(), bytes_ - goal));
  std::set<Shares::Key> exhausted;
  while (bytes_ > goal) {
    const std::optional<Shares::Key> heaviest = shares_.Heaviest(exhausted);
    if (!heaviest.has_value()) break;
    ASSIGN_OR_RETURN(const bool evicted, Evict(*heaviest));
    if (!evicted) exhausted.insert(*heaviest);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Spool::Evict(const Shares::Key& key) {
  std::vector<Row> victims;
  store_->victims.Bind(key.uid, static_cast<int64_t>(key.weight), handed_out_, kRowsAtOnce);
  while (true) {
    ASSIGN_OR_RETURN(const bool more, store_->victims.Step());
    if (!more) break;
    victims.push_back(Store::ReadRow(store_->victims));
    victims.back().event = {};
  }
  size_t begin = 0;
  while (begin < victims.size()) {
    size_t end = begin + 1;
    while (end < victims.size() && victims[end].id == victims[end - 1].id + 1) ++end;
    RETURN_IF_ERROR(Bury(absl::MakeConstSpan(victims).subspan(begin, end - begin)));
    begin = end;
  }
  return !victims.empty();
}

absl::Status Spool::Bury(absl::Span<const Row> run) {
  Row tombstone = run.front();
  tombstone.origin = 0;
  tombstone.weight = Weight::kTombstone;
  tombstone.attempts = 0;
  tombstone.span = 0;
  const auto take = [&](const Row& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> absl::Status {
    RETURN_IF_ERROR(store_->remove.Bind(row.id).Run());
    tombstone.id = std::max(tombstone.id, row.id);
    tombstone.span += row.span;
    tombstone.attempts += row.attempts;
    tombstone.time_ns = std::min(tombstone.time_ns, row.time_ns);
    tombstone.last_ns = std::max(tombstone.last_ns, row.last_ns);
    bytes_ -= row.bytes;
    return absl::OkStatus();
  };
  for (const Row& row : run) {
    RETURN_IF_ERROR(take(row));
    shares_.Add({row.uid, row.weight}, -row.bytes);
    evicted_ += static_cast<uint64_t>(row.attempts);
    --pending_;
  }

  // Tombstones side by side become one, so that they are never more than the
  // events between them.
  ASSIGN_OR_RETURN(const bool before, store_->before.Bind(run.front().id).Step());
  if (before) {
    const Row row = Store::ReadRow(store_->before);
    store_->before.Reset();
    if (row.weight == Weight::kTombstone && row.id == run.front().id - 1 && row.id > handed_out_) {
      RETURN_IF_ERROR(take(row));
    }
  }
  ASSIGN_OR_RETURN(const bool after,
                   store_->from.Bind(run.back().id, std::numeric_limits<int64_t>::max()).Step());
  if (after) {
    const Row row = Store::ReadRow(store_->from);
    store_->from.Reset();
    if (row.weight == Weight::kTombstone && row.id - row.span == run.back().id) {
      RETURN_IF_ERROR(take(row));
    }
  }

  tombstone.uid = kNoUid;
  tombstone.bytes = kRowOverheadBytes;
  tombstone.event = {};
  bytes_ += tombstone.bytes;
  return store_->Insert(tombstone);
}

}  // namespace postern::spool
