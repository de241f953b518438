// SPDX-License-Identifier: Apache-2.0
// Events on disk, from the ring until the collector has them. docs/spool.md.
//
// Events of one start of the agent form an epoch, a random number; within it
// they have positions from 1, without holes. Thread-safe: the agent's thread
// appends, the uplink's threads read and acknowledge.
//
// Errors of all calls: DataLoss, the file is damaged: Recover(); ResourceExhausted
// and Unavailable, the disk is full or fails: nothing changed, try again later.
#ifndef POSTERN_AGENT_SPOOL_SPOOL_H_
#define POSTERN_AGENT_SPOOL_SPOOL_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "agent/spool/oldest_unsent.h"
#include "agent/spool/shares.h"
#include "agent/spool/store.h"
#include "common/mutex.h"
#include "postern/v1/event.pb.h"
#include "postern/v1/ingest.pb.h"

namespace postern::spool {

struct Options {
  std::string folder;  // exists
  uint64_t max_bytes = 256 << 20;
  std::string host;
  std::string agent;
  std::string boot;  // of this boot; events appended are of it
  // As SetLocalOnly(), from the start.
  bool local_only = false;
  std::function<absl::Time()> now = absl::Now;
  // The file may not grow past so many pages of 4 KiB; 0: as the disk allows.
  int64_t max_pages = 0;
};

// A number that is committed with events: how far a ring was read, how much of
// a counter was reported. Marks of earlier boots are forgotten, unless they are
// to outlive theirs.
struct Mark {
  std::string name;
  uint64_t value = 0;
  bool outlives_boot = false;
};

struct Entry {
  v1::Event event;
  // Kernel sequence of the record that says who it was; Find() looks for it. A
  // repeat has that of its first attempt. 0: none.
  uint64_t origin = 0;
};

// A damaged file was set aside, or was gone.
struct SetAside {
  std::string path;  // empty: it was gone
  // Events recorded before were delivered; 0: unknown.
  int64_t delivered_until_ns = 0;
};

struct Stats {
  uint64_t events = 0;  // not acknowledged
  uint64_t bytes = 0;   // of all rows
  uint64_t max_bytes = 0;
  std::optional<int64_t> oldest_ns;  // of the events not acknowledged
  uint64_t evicted = 0;              // attempts, since Open
};

struct EpochState {
  uint64_t epoch = 0;
  uint64_t last = 0;          // highest position
  uint64_t acknowledged = 0;  // every position up to it
};

// Part of what is still here, in the order in which it was recorded.
struct RecordedEvents {
  std::vector<v1::Event> events;
  // For the next call; absent where this is the end.
  std::optional<int64_t> next;
};

class Spool {
 public:
  // Opens or creates, and begins a new epoch. A damaged file is set aside.
  static absl::StatusOr<std::unique_ptr<Spool>> Open(Options options);
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;
  ~Spool();

  // Of Open() and of each Recover() since the last call.
  std::vector<SetAside> TakeSetAside() ABSL_LOCKS_EXCLUDED(mutex_);
  // Sets the file aside and begins anew. For a call that returned DataLoss.
  absl::Status Recover() ABSL_LOCKS_EXCLUDED(mutex_);

  // Commits events and marks, both or neither, to the disk.
  absl::Status Append(absl::Span<const Entry> entries, absl::Span<const Mark> marks)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::optional<uint64_t>> FindMark(const std::string& name)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The newest event with that origin, of this boot, if it is still here.
  absl::StatusOr<std::optional<v1::Event>> Find(uint64_t origin) ABSL_LOCKS_EXCLUDED(mutex_);

  // Nobody collects: what is appended counts as acknowledged at once, and what
  // earlier starts left too. Once somebody collects again, a GAP (NO_COLLECTOR)
  // stands for all of that.
  absl::Status SetLocalOnly(bool local_only) ABSL_LOCKS_EXCLUDED(mutex_);

  // The epoch that Append() adds to.
  uint64_t epoch() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Epochs with events that are not acknowledged, oldest first, and always the
  // current one, last.
  absl::StatusOr<std::vector<EpochState>> PendingEpochs() ABSL_LOCKS_EXCLUDED(mutex_);

  // Events after position `after`, at most so many and about so many bytes.
  // Positions of evicted events, and of those that a damaged file has lost, come as
  // events of no kind; a GAP follows at the last one. Empty where there is none; NotFound for an
  // unknown epoch; OutOfRange where `after` lies ahead of the epoch, or behind what is acknowledged
  // and no longer here: Renew().
  absl::StatusOr<v1::Batch> ReadBatch(uint64_t epoch, uint64_t after, int max_events,
                                      size_t max_bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  // No event after position `after`, of this epoch or a later one, is older; none
  // where there is no such event. For one reader, who goes forward; to go back
  // costs a look at every row. NotFound for an unknown epoch.
  absl::StatusOr<std::optional<int64_t>> OldestAfter(uint64_t epoch, uint64_t after)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The collector has committed every position up to this one. What lies ahead
  // of the epoch, or of an unknown one, is ignored. What cannot be written is kept
  // in mind, and written with whatever can be next.
  absl::Status Acknowledge(uint64_t epoch, uint64_t position) ABSL_LOCKS_EXCLUDED(mutex_);
  // Files what is not acknowledged under a new epoch, with positions from 1: the
  // collector's mark does not fit (a snapshot was rolled back, the collector's
  // store is another). Returns the new epoch.
  absl::StatusOr<uint64_t> Renew(uint64_t epoch) ABSL_LOCKS_EXCLUDED(mutex_);

  // The newest acknowledgement of any collector; of epoch 0 where there was none.
  absl::StatusOr<v1::EpochMark> LastAcknowledged() ABSL_LOCKS_EXCLUDED(mutex_);

  absl::StatusOr<Stats> GetStats() ABSL_LOCKS_EXCLUDED(mutex_);

  // A few hundred events from `next` on, delivered or not; from 0, the oldest. What
  // was evicted comes as a GAP. Others may call in between.
  absl::StatusOr<RecordedEvents> ReadRecorded(int64_t next) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Epoch {
    int64_t ordinal = 0;
    std::string boot;
    EpochState state;

    int64_t Id(uint64_t position) const {
      return (ordinal << kPositionBits) + static_cast<int64_t>(position);
    }
    int64_t acknowledged_id() const { return Id(state.acknowledged); }
    int64_t last_id() const { return Id(state.last); }
  };

  explicit Spool(Options options)
      : options_(std::move(options)), local_only_(options_.local_only) {}

  // Sets a damaged file aside and opens another.
  absl::Status OpenStore() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TryOpenStore() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SetFileAside() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status BeginEpoch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Reads epochs and sums again where a transaction failed. Comes first in every call.
  absl::Status Ready() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Runs `body` in a transaction; where the disk is full, makes room and runs it
  // once more. Epochs may then have been read anew: `body` looks its own up.
  absl::Status Commit(bool durable, absl::FunctionRef<absl::Status()> body)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TryCommit(bool durable, absl::FunctionRef<absl::Status()> body)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RunTransaction(absl::FunctionRef<absl::Status()> body)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What the collector has and the file does not know yet.
  absl::Status WriteAcknowledged() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Remembers that the file is damaged, for the calls that follow.
  absl::Status Noted(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Epoch* FindEpoch(uint64_t epoch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Status Insert(absl::Span<const Entry> entries, absl::Span<const Mark> marks)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status InsertEntry(const Entry& entry, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What nobody collects counts as acknowledged, and since when that is so is kept.
  absl::Status AcknowledgeLocally() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The GAP for what nobody collected.
  absl::Status EndLocalOnly(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SetLocalSince(int64_t time_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SetAcknowledged(Epoch& epoch, uint64_t position)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status MoveToNewEpoch(size_t index, uint64_t name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of the row; a GAP where it was evicted or is not what was written.
  v1::Event EventOf(const Row& row, const std::string& boot) const;
  // Without a reason, a time or a count.
  v1::Event GapOf(const std::string& boot) const;
  // For what is lost, and of which nothing is known: it was recorded since the last
  // time that all had been delivered.
  v1::Event CorruptGap(const std::string& boot) const;
  // All that was recorded before is delivered; 0: not known.
  int64_t DeliveredUntilNs() const;
  absl::Status FillRecorded(int64_t after, RecordedEvents& recorded)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status FillBatch(const Epoch& epoch, uint64_t after, int max_events, size_t max_bytes,
                         v1::Batch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // For positions from `next` to `end`, or as far as the batch has room.
  absl::Status FillMissing(const Epoch& epoch, int64_t end, int max_events, int64_t& next,
                           v1::Batch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MarkDelivered() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Status ExpireAcknowledged(absl::Time stored_before, int64_t enough_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // For a disk that is full: acknowledged events go before their time, and the
  // reserve for their sake.
  absl::Status FreeDisk() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Holds so much room on the disk for that, or what there is.
  void KeepReserve(int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Refuses (ResourceExhausted) an append that would leave no room to delete in.
  absl::Status LeaveRoomToDelete() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<bool> Evict(const Shares::Key& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts one tombstone in the place of rows without a hole between them.
  absl::Status Bury(absl::Span<const Row> run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  std::unique_ptr<Store> store_ ABSL_GUARDED_BY(mutex_);
  // In order of delivery; the last one is current. Mirrors the table.
  std::vector<Epoch> epochs_ ABSL_GUARDED_BY(mutex_);
  Shares shares_ ABSL_GUARDED_BY(mutex_);
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t pending_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t evicted_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stale_ ABSL_GUARDED_BY(mutex_) = true;
  bool damaged_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t reserve_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // Positions by epoch, for the next transaction that succeeds.
  std::map<uint64_t, uint64_t> acknowledged_ ABSL_GUARDED_BY(mutex_);
  absl::Time expired_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Time delivered_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool local_only_ ABSL_GUARDED_BY(mutex_);
  // Of the oldest event that nobody collected; 0: none. Mirrors its mark.
  int64_t local_since_ ABSL_GUARDED_BY(mutex_) = 0;
  OldestUnsent oldest_unsent_ ABSL_GUARDED_BY(mutex_);
  // Rows up to this id were handed to the uplink and may be committed already:
  // evicting them would report as lost what was delivered.
  int64_t handed_out_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<SetAside> set_aside_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace postern::spool

#endif  // POSTERN_AGENT_SPOOL_SPOOL_H_
