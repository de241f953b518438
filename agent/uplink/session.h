// SPDX-License-Identifier: Apache-2.0
// One connection to a collector, from Hello to its end. Used by one thread.
#ifndef POSTERN_AGENT_UPLINK_SESSION_H_
#define POSTERN_AGENT_UPLINK_SESSION_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/async_stream.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/spool/spool.h"
#include "agent/uplink/line.h"
#include "agent/uplink/queue.h"
#include "agent/uplink/uplink.h"
#include "postern/v1/ingest.grpc.pb.h"

namespace postern::uplink {

// What the uplink tells its session, from other threads.
struct Signals {
  std::atomic<bool> stop = false;
  std::atomic<bool> state_changed = false;
};

class Session {
 public:
  // All outlive the session. `pack`: batches, where the collector can take them so.
  // `on_welcome`, `on_acknowledged` and `on_clock` are told of progress, on the thread
  // that runs it.
  Session(const Options& options, bool pack, spool::Spool& spool, Queue& queue, Signals& signals,
          std::function<void()> on_welcome, std::function<void()> on_acknowledged,
          std::function<void(const ClockCheck&)> on_clock);

  // Runs until the connection ends or `signals.stop`, after which the agent's state is
  // told once more, and leaves nothing in the queue. OK where it ended on our side: on stop, or to
  // say Hello again with other epochs. Else why it broke.
  absl::Status Run(const Line& line);

 private:
  struct Sending {
    uint64_t epoch = 0;
    uint64_t sent = 0;
  };
  struct InFlight {
    uint64_t epoch = 0;
    uint64_t last = 0;
  };

  void Handle(const Queue::Completion& completion);
  void HandleResponse();
  absl::Status HandleWelcome(const v1::Welcome& welcome);
  void HandleAcknowledgement(const v1::EpochMark& mark);
  void SayHello();
  // Of the agent, with the oldest event that was not sent yet.
  v1::AgentState State();
  // Writes what is due, where nothing is being written.
  void WriteNext();
  void WriteHeartbeat(absl::Time now);
  bool WriteBatch(absl::Time now);
  void StartWrite();
  // A last heartbeat, and the end of our side, as long as the collector takes them.
  void Leave();
  // Puts the events into the packed form.
  void PackEvents(v1::Batch& batch) const;
  // The connection is given up. The first reason is the one that is told.
  void End(absl::Status why);
  void Finish();
  absl::Time NextDeadline() const;
  // For the peer: an answer, or that it takes what is being written.
  bool Waits() const;

  const Options& options_;
  bool pack_;
  spool::Spool& spool_;
  Queue& queue_;
  Signals& signals_;
  const std::function<void()> on_welcome_;
  const std::function<void()> on_acknowledged_;
  const std::function<void(const ClockCheck&)> on_clock_;

  const Line* line_ = nullptr;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::IngestRequest, v1::IngestResponse>> stream_;
  v1::IngestRequest request_;
  v1::IngestResponse response_;
  grpc::Status grpc_status_;

  // What gRPC has yet to complete.
  int outstanding_ = 0;
  bool writing_ = false;
  bool welcome_ = false;
  bool ending_ = false;
  bool finishing_ = false;
  bool finished_ = false;
  bool leaving_ = false;
  bool told_last_ = false;
  bool done_writing_ = false;
  absl::Time leave_by_;
  absl::Status end_;

  std::deque<Sending> sending_;
  std::deque<InFlight> in_flight_;
  absl::Time heard_;  // the peer, last
  absl::Time sent_batch_ = absl::InfinitePast();
  bool last_batch_full_ = false;
  absl::Time heartbeat_at_;
  // What the collector was told last.
  uint64_t oldest_pending_ns_ = 0;
  absl::Time grow_until_ = absl::InfiniteFuture();
  absl::Time retry_spool_at_ = absl::InfinitePast();
};

}  // namespace postern::uplink

#endif  // POSTERN_AGENT_UPLINK_SESSION_H_
