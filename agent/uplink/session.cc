// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/session.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "common/boot_clock.h"
#include "common/packing.h"
#include "common/status.h"
#include "common/steady_clock.h"

namespace postern::uplink {
namespace {

// After an error of the disk.
constexpr absl::Duration kRetrySpool = absl::Seconds(1);

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::UnavailableError("the collector closed the connection");
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return absl::UnimplementedError("this socket does not take events; ingest.sock does");
  }
  const std::string whole = status.error_message();
  absl::string_view message = whole;
  // "failed to connect to all addresses; last error: UNKNOWN: ADDRESS: REASON"
  if (absl::StrContains(message, "last error: ")) {
    message.remove_prefix(message.rfind(": ") + 2);
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), message);
}

}  // namespace

Session::Session(const Options& options, bool pack, spool::Spool& spool, Queue& queue,
                 Signals& signals, std::function<void()> on_welcome,
                 std::function<void()> on_acknowledged,
                 std::function<void(const ClockCheck&)> on_clock)
    : options_(options),
      pack_(pack),
      spool_(spool),
      queue_(queue),
      signals_(signals),
      on_welcome_(std::move(on_welcome)),
      on_acknowledged_(std::move(on_acknowledged)),
      on_clock_(std::move(on_clock)) {}

absl::Status Session::Run(const Line& line) {
  line_ = &line;
  const std::unique_ptr<v1::Ingest::Stub> stub = v1::Ingest::NewStub(line.channel);
  stream_ = stub->PrepareAsyncStream(&context_, queue_.get());
  heard_ = SteadyNow();
  heartbeat_at_ = heard_ + options_.heartbeat;
  stream_->StartCall(ToPointer(Tag::kStart));
  ++outstanding_;
  while (outstanding_ > 0) {
    const Queue::Completion completion = queue_.Next(NextDeadline());
    if (completion.tag != Tag::kNone && completion.tag != Tag::kBell) --outstanding_;
    Handle(completion);
    if (signals_.stop) Leave();
    if (ending_) {
      Finish();
      continue;
    }
    if (Waits() && SteadyNow() - heard_ >= options_.patience) {
      End(absl::DeadlineExceededError("the collector does not answer"));
      Finish();
      continue;
    }
    WriteNext();
  }
  return end_;
}

bool Session::Waits() const { return !welcome_ || writing_ || !in_flight_.empty(); }

absl::Time Session::NextDeadline() const {
  if (ending_) return absl::InfiniteFuture();
  if (!welcome_) return heard_ + options_.patience;
  if (leaving_) return leave_by_;
  // While something is being written nothing else can be.
  absl::Time deadline = writing_ ? absl::InfiniteFuture() : std::min(heartbeat_at_, grow_until_);
  if (Waits()) deadline = std::min(deadline, heard_ + options_.patience);
  if (retry_spool_at_ > SteadyNow()) deadline = std::min(deadline, retry_spool_at_);
  return deadline;
}

void Session::Handle(const Queue::Completion& completion) {
  switch (completion.tag) {
    case Tag::kStart:
      if (!completion.ok) {
        End(absl::UnavailableError(""));
        return;
      }
      stream_->Read(&response_, ToPointer(Tag::kRead));
      ++outstanding_;
      SayHello();
      return;
    case Tag::kRead:
      if (!completion.ok) {
        End(absl::UnavailableError(""));
        return;
      }
      heard_ = SteadyNow();
      HandleResponse();
      if (ending_) return;
      stream_->Read(&response_, ToPointer(Tag::kRead));
      ++outstanding_;
      return;
    case Tag::kWrite:
      writing_ = false;
      if (!completion.ok) End(absl::UnavailableError(""));
      return;
    case Tag::kWritesDone:
      return;
    case Tag::kFinish:
      finished_ = true;
      // An empty message says: whatever gRPC says.
      if (!end_.ok() && end_.message().empty()) end_ = FromGrpc(grpc_status_);
      return;
    case Tag::kBell:
    case Tag::kNone:
      return;
  }
}

void Session::Leave() {
  if (ending_) return;
  const absl::Time now = SteadyNow();
  if (!std::exchange(leaving_, true)) leave_by_ = now + options_.farewell;
  if (!welcome_ || now >= leave_by_) End(absl::OkStatus());
}

void Session::End(absl::Status why) {
  if (ending_) return;
  ending_ = true;
  end_ = leaving_ ? absl::OkStatus() : std::move(why);
  // Where the peer ended the stream there is nothing to cancel, and its status
  // must not be replaced by ours.
  if (!end_.ok() && end_.message().empty()) return;
  context_.TryCancel();
  line_->Cut();
}

void Session::Finish() {
  if (finishing_) return;
  finishing_ = true;
  stream_->Finish(&grpc_status_, ToPointer(Tag::kFinish));
  ++outstanding_;
}

void Session::SayHello() {
  const auto pending = spool_.PendingEpochs();
  if (!pending.ok()) {
    End(pending.status());
    return;
  }
  v1::Hello* hello = request_.mutable_hello();
  hello->set_host(options_.host);
  hello->set_agent(options_.agent);
  hello->set_boot(options_.boot);
  hello->set_version(options_.version);
  hello->set_epoch(pending->back().epoch);
  for (const spool::EpochState& state : *pending) {
    hello->add_pending_epochs(state.epoch);
    sending_.push_back({state.epoch, state.acknowledged});
  }
  *hello->mutable_state() = State();
  // Where the spool cannot be read the connection ends with the next thing anyway.
  if (const auto last = spool_.LastAcknowledged(); last.ok() && last->epoch() != 0) {
    *hello->mutable_last_acknowledged() = *last;
  }
  StartWrite();
}

v1::AgentState Session::State() {
  v1::AgentState state = options_.state();
  const Sending& next = sending_.front();
  const auto oldest = spool_.OldestAfter(next.epoch, next.sent);
  if (!oldest.ok()) {
    // What was true last, until the spool can be read again.
    state.set_oldest_pending_ns(oldest_pending_ns_);
  } else if (oldest->has_value()) {
    const auto in_spool = static_cast<uint64_t>(std::max<int64_t>(**oldest, 1));
    const bool older = state.oldest_pending_ns() != 0 && state.oldest_pending_ns() < in_spool;
    if (!older) state.set_oldest_pending_ns(in_spool);
  }
  oldest_pending_ns_ = state.oldest_pending_ns();
  return state;
}

void Session::HandleResponse() {
  if (response_.time_ns() != 0) {
    const int64_t boot_ns = BootNowNs();
    on_clock_({boot_ns, absl::FromUnixNanos(boot_ns + BootToWallOffsetNs()) -
                            absl::FromUnixNanos(static_cast<int64_t>(response_.time_ns()))});
  }
  if (response_.has_welcome() && !welcome_) {
    if (absl::Status status = HandleWelcome(response_.welcome()); !status.ok()) {
      End(std::move(status));
    }
  } else if (response_.has_acknowledgement()) {
    HandleAcknowledgement(response_.acknowledgement().mark());
  }
}

absl::Status Session::HandleWelcome(const v1::Welcome& welcome) {
  ASSIGN_OR_RETURN(const std::vector<spool::EpochState> states, spool_.PendingEpochs());
  bool renewed = false;
  for (Sending& sending : sending_) {
    uint64_t mark = 0;
    for (const v1::EpochMark& candidate : welcome.marks()) {
      if (candidate.epoch() == sending.epoch) mark = candidate.position();
    }
    const auto state = std::find_if(states.begin(), states.end(), [&](const spool::EpochState& s) {
      return s.epoch == sending.epoch;
    });
    if (state == states.end()) continue;
    // Ahead of us: this spool is an older copy of itself. Behind what was
    // acknowledged: the collector's store is another one than before.
    if (mark > state->last || mark < state->acknowledged) {
      RETURN_IF_ERROR(spool_.Renew(sending.epoch).status());
      renewed = true;
      continue;
    }
    // What the disk does not take the spool keeps in mind.
    spool_.Acknowledge(sending.epoch, mark).IgnoreError();
    sending.sent = mark;
  }
  if (renewed) {
    End(absl::OkStatus());
    return absl::OkStatus();
  }
  pack_ = pack_ && welcome.unpacks();
  welcome_ = true;
  on_welcome_();
  return absl::OkStatus();
}

void Session::HandleAcknowledgement(const v1::EpochMark& mark) {
  // As at the welcome.
  spool_.Acknowledge(mark.epoch(), mark.position()).IgnoreError();
  in_flight_.erase(std::remove_if(in_flight_.begin(), in_flight_.end(),
                                  [&](const InFlight& batch) {
                                    return batch.epoch == mark.epoch() &&
                                           batch.last <= mark.position();
                                  }),
                   in_flight_.end());
  on_acknowledged_();
}

void Session::WriteNext() {
  grow_until_ = absl::InfiniteFuture();
  if (writing_ || !welcome_ || ending_) return;
  const absl::Time now = SteadyNow();
  if (leaving_) {
    if (!std::exchange(told_last_, true)) return WriteHeartbeat(now);
    if (std::exchange(done_writing_, true)) return;
    stream_->WritesDone(ToPointer(Tag::kWritesDone));
    ++outstanding_;
    return;
  }
  if (signals_.state_changed.exchange(false) || now >= heartbeat_at_) return WriteHeartbeat(now);
  if (WriteBatch(now) || ending_ || oldest_pending_ns_ == 0) return;
  // Nothing is pending after all: the collector had it before this connection.
  if (State().oldest_pending_ns() == 0) WriteHeartbeat(now);
}

void Session::WriteHeartbeat(absl::Time now) {
  heartbeat_at_ = now + options_.heartbeat;
  *request_.mutable_heartbeat()->mutable_state() = State();
  StartWrite();
}

bool Session::WriteBatch(absl::Time now) {
  if (in_flight_.size() >= options_.window || now < retry_spool_at_) return false;
  if (!in_flight_.empty() && !last_batch_full_ && now < sent_batch_ + options_.batch_age) {
    grow_until_ = sent_batch_ + options_.batch_age;
    return false;
  }
  while (!sending_.empty()) {
    Sending& sending = sending_.front();
    absl::StatusOr<v1::Batch> batch =
        spool_.ReadBatch(sending.epoch, sending.sent, options_.batch_events, options_.batch_bytes);
    if (absl::IsOutOfRange(batch.status())) {
      absl::Status renewed = spool_.Renew(sending.epoch).status();
      End(renewed.ok() ? absl::OkStatus() : std::move(renewed));
      return false;
    }
    if (absl::IsNotFound(batch.status())) {
      End(absl::OkStatus());  // the spool was begun anew
      return false;
    }
    if (!batch.ok()) {
      retry_spool_at_ = now + kRetrySpool;
      return false;
    }
    if (batch->events().empty()) {
      if (sending_.size() == 1) break;
      sending_.pop_front();
      continue;
    }
    sending.sent += static_cast<uint64_t>(batch->events_size());
    in_flight_.push_back({sending.epoch, sending.sent});
    if (in_flight_.size() == 1) heard_ = now;
    last_batch_full_ = batch->events_size() >= options_.batch_events;
    sent_batch_ = now;
    batch->set_oldest_pending_ns(State().oldest_pending_ns());
    if (pack_) PackEvents(*batch);
    *request_.mutable_batch() = *std::move(batch);
    StartWrite();
    return true;
  }
  // Appended to since by another epoch: the collector has to hear of it first.
  if (sending_.back().epoch != spool_.epoch() && in_flight_.empty()) End(absl::OkStatus());
  return false;
}

void Session::PackEvents(v1::Batch& batch) const {
  v1::Batch events;
  events.mutable_events()->Swap(batch.mutable_events());
  const std::string bytes = events.SerializeAsString();
  batch.set_packed_events(Pack(bytes));
  batch.set_packed_events_bytes(static_cast<uint32_t>(bytes.size()));
}

void Session::StartWrite() {
  // From now on the peer owes something.
  if (!Waits()) heard_ = SteadyNow();
  writing_ = true;
  ++outstanding_;
  stream_->Write(request_, ToPointer(Tag::kWrite));
}

}  // namespace postern::uplink
