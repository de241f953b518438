// SPDX-License-Identifier: Apache-2.0
// Where events stay. The one interface between the services and a database.
//
// Exactly once: an epoch's high-water mark moves in the same transaction as the
// events that move it, so that whatever an agent sends again is known and
// dropped. A store without transactions must derive the mark from its rows.
//
// Threads: every method may be called from any thread. The writing methods
// return at once; their `done` is called exactly once, on the store's own
// thread, after the commit or the failure, and must not block. The reading
// methods block their caller.
//
// Errors of the writing methods: kFailedPrecondition, the batch leaves a hole
// (nothing was stored); kResourceExhausted, too much is queued, or the disk is
// full; kAlreadyExists, another collector of the same database has a live stream of
// the epoch; kUnavailable and others, the database's own trouble. In each case
// nothing of the batch is stored, and it may be sent again.
#ifndef POSTERN_SERVER_STORE_EVENT_STORE_H_
#define POSTERN_SERVER_STORE_EVENT_STORE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "postern/v1/event.pb.h"
#include "postern/v1/ingest.pb.h"
#include "postern/v1/query.pb.h"
#include "server/store/event_filter.h"

namespace postern::server {

// An agent is told every minute that the link lives, by its heartbeat; what is
// silent for this long is away.
inline constexpr int64_t kHeartbeatNs = 60'000'000'000;
inline constexpr int64_t kHeartbeatToleranceNs = 150'000'000'000;
static_assert(kHeartbeatToleranceNs > 2 * kHeartbeatNs);

struct EventBatch {
  std::string host;
  uint64_t epoch = 0;
  // Of events[0]; from 1.
  uint64_t first_position = 1;
  // Their `host` is replaced by the batch's.
  google::protobuf::RepeatedPtrField<v1::Event> events;
  // What the host has yet to send is no older; 0: nothing.
  uint64_t oldest_pending_ns = 0;
};

struct GroupPage {
  std::vector<v1::Group> groups;
  bool truncated = false;
};

class EventStore {
 public:
  using MarkDone = std::function<void(absl::StatusOr<uint64_t>)>;
  using MarksDone = std::function<void(absl::StatusOr<std::vector<v1::EpochMark>>)>;
  // Whether whoever asked has left.
  using Cancelled = std::function<bool()>;

  virtual ~EventStore() = default;

  // The host is connected. Answers with the marks of `epoch` and
  // `pending_epochs`, 0 for those never seen.
  virtual void Welcome(v1::Hello hello, MarksDone done) = 0;
  // Answers with the epoch's mark after the commit. Positions at or below the
  // mark are dropped; a batch that begins beyond mark + 1 is refused whole.
  virtual void Append(EventBatch batch, MarkDone done) = 0;
  // The host was heard of.
  virtual void Heard(std::string host, v1::AgentState state) = 0;
  // The host's last stream ended.
  virtual void Left(std::string host) = 0;
  // An event of the collector's own, about a host that is known; of another it is
  // dropped. No agent's mark moves.
  virtual void Record(v1::Event event) = 0;

  // Newest first, by the time of the first attempt; GAP events are left out,
  // Completeness() tells them. At most `limit` (0: all); true when there were
  // more. `sink` may block and stops the search by answering false. Fails with
  // kCancelled soon after `cancelled` says so.
  virtual absl::StatusOr<bool> Find(const EventFilter& filter, uint32_t limit,
                                    const Cancelled& cancelled,
                                    absl::FunctionRef<bool(const v1::Event&)> sink) = 0;
  // Of CONNECT events, or of the filter's kinds; by count, highest first.
  virtual absl::StatusOr<GroupPage> Group(const EventFilter& filter,
                                          const std::vector<GroupField>& fields, uint32_t limit,
                                          const Cancelled& cancelled) = 0;
  // Whether the record of the filter's hosts is whole for its window, without
  // `truncated`.
  virtual absl::StatusOr<v1::Completeness> Complete(const EventFilter& filter) = 0;
  // By name. Silent is who has not been heard of for kHeartbeatToleranceNs.
  virtual absl::StatusOr<std::vector<v1::Host>> Hosts() = 0;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_EVENT_STORE_H_
