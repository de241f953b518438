// SPDX-License-Identifier: Apache-2.0
#include "server/ingest/ingest_stream.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/packing.h"
#include "common/status.h"
#include "common/steady_clock.h"
#include "server/ingest/event_check.h"
#include "server/ingest/ingest_service.h"
#include "server/ingest/message_cost.h"

namespace postern::server {
namespace {

// A name of DNS (RFC 1035, 2.3.4); whatever a machine calls itself fits.
constexpr size_t kMaxHostBytes = 255;
// Identifiers and versions have some forty.
constexpr size_t kMaxTextBytes = 128;

// Positions that follow it in a batch are still numbers of a store.
constexpr uint64_t kLastPosition = std::numeric_limits<int64_t>::max() - kMaxBatchEvents;

bool IsHostName(const std::string& host) {
  return !host.empty() && host.size() <= kMaxHostBytes &&
         std::all_of(host.begin(), host.end(),
                     [](unsigned char c) { return absl::ascii_isgraph(c) != 0; });
}

// They come again in each answer about hosts, and in the log.
absl::Status CheckText(absl::string_view field, const std::string& text) {
  if (text.size() <= kMaxTextBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("'", field, "' is longer than ", kMaxTextBytes, " bytes"));
}

absl::Status CheckState(const v1::AgentState& state) {
  RETURN_IF_ERROR(CheckText("mode", state.mode()));
  RETURN_IF_ERROR(CheckTime("oldest_pending_ns", state.oldest_pending_ns()));
  return CheckTime("not_watched_since_ns", state.not_watched_since_ns());
}

absl::Status CheckHello(const v1::Hello& hello) {
  if (!IsHostName(hello.host())) {
    return absl::InvalidArgumentError(
        "hello: 'host' wants a name of 1 to 255 printable characters without spaces");
  }
  if (hello.epoch() == 0) return absl::InvalidArgumentError("hello: 'epoch' is missing");
  if (hello.pending_epochs_size() > kMaxPendingEpochs) {
    return absl::InvalidArgumentError(
        absl::StrCat("hello: more than ", kMaxPendingEpochs, " pending epochs"));
  }
  if (hello.last_acknowledged().position() > kLastPosition) {
    return absl::InvalidArgumentError("hello: 'last_acknowledged' lies where no position can");
  }
  RETURN_IF_ERROR(CheckText("agent", hello.agent()));
  RETURN_IF_ERROR(CheckText("boot", hello.boot()));
  RETURN_IF_ERROR(CheckText("version", hello.version()));
  return CheckState(hello.state());
}

absl::Status CheckBatch(const v1::Batch& batch, const std::vector<uint64_t>& epochs) {
  if (!std::binary_search(epochs.begin(), epochs.end(), batch.epoch())) {
    return absl::InvalidArgumentError("batch: of an epoch that the hello did not name");
  }
  if (batch.events_size() == 0 || batch.events_size() > kMaxBatchEvents) {
    return absl::InvalidArgumentError(
        absl::StrCat("batch: wants 1 to ", kMaxBatchEvents, " events"));
  }
  if (batch.first_position() == 0 || batch.first_position() > kLastPosition) {
    return absl::InvalidArgumentError("batch: positions count from 1");
  }
  RETURN_IF_ERROR(CheckTime("oldest_pending_ns", batch.oldest_pending_ns()));
  return CheckEvents(batch.events());
}

absl::Status UnpackEvents(v1::Batch& batch) {
  if (batch.packed_events().empty()) return absl::OkStatus();
  absl::Status refused = absl::InvalidArgumentError(
      "batch: its packed events are damaged, too long, or beside others");
  if (batch.packed_events_bytes() > kMaxIngestMessageBytes || batch.events_size() > 0) {
    return refused;
  }
  const absl::StatusOr<std::string> bytes =
      Unpack(batch.packed_events(), batch.packed_events_bytes());
  if (!bytes.ok()) return refused;
  google::protobuf::io::ArrayInputStream stream(bytes->data(), static_cast<int>(bytes->size()));
  RETURN_IF_ERROR(CheckCost(stream, *v1::Batch::descriptor(), kMaxIngestMessageCost));
  v1::Batch events;
  if (!events.ParseFromString(*bytes)) return refused;
  batch.mutable_events()->Swap(events.mutable_events());
  batch.clear_packed_events();
  return absl::OkStatus();
}

// The numbers of absl's and gRPC's codes are the same by design.
grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

// None where no event has a time: of those that were evicted only their places come.
std::optional<absl::Time> NewestOf(const EventBatch& batch) {
  uint64_t newest_ns = 0;
  for (const v1::Event& event : batch.events) {
    newest_ns = std::max({newest_ns, event.time_ns(), event.last_time_ns()});
  }
  if (newest_ns == 0) return std::nullopt;
  return absl::FromUnixNanos(static_cast<int64_t>(newest_ns));
}

// What a store's trouble is to an agent: come again later. Its own mistakes stay
// what they are.
absl::Status ForAgent(const absl::Status& status) {
  if (absl::IsFailedPrecondition(status) || absl::IsResourceExhausted(status) ||
      absl::IsAlreadyExists(status)) {
    return status;
  }
  return absl::UnavailableError(status.message());
}

}  // namespace

IngestStream::IngestStream(EventStore* store, EpochRegistry* registry, Figures* figures,
                           Writer writer)
    : store_(store), registry_(registry), figures_(figures), writer_(std::move(writer)) {
  figures_->StreamBegan();
  if (const absl::Status status = CheckWriter(); !status.ok()) {
    figures_->Refused(Refusal::kStranger);
    End(status);
  } else {
    StartRead(&incoming_);
  }
}

absl::Status IngestStream::CheckWriter() {
  if (!writer_.known) return absl::OkStatus();
  // Fails closed: a connection that nobody vouches for writes nothing.
  if (writer_.bearer == nullptr || writer_.bearer->role != pki::Role::kAgent) {
    return absl::PermissionDeniedError("only agents write events");
  }
  return absl::OkStatus();
}

absl::Status IngestStream::CheckHost(const std::string& host) {
  if (!writer_.known || writer_.bearer->MayUse(host)) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("the certificate of ", writer_.bearer->Title(), " may not write as host ", host,
                   "; set 'host' in the agent's configuration, or enrol as that host"));
}

void IngestStream::Reject(const absl::Status& why) {
  figures_->Refused(absl::IsPermissionDenied(why) ? Refusal::kStranger : Refusal::kGarbage);
  if (writer_.known) {
    LogWarning("%s at %s sent what it may not: %s", writer_.bearer->Title(),
               writer_.bearer->address, std::string(why.message()));
    writer_.conduct->Allow(*writer_.bearer, Conduct::kGarbage, why.message());
  }
  End(why);
}

void IngestStream::OnReadDone(bool ok) {
  if (!ok) return End(absl::OkStatus());
  v1::IngestRequest request;
  incoming_bytes_ = incoming_.Length();
  {
    grpc::ProtoBufferReader bytes(&incoming_);
    const absl::Status cost =
        CheckCost(bytes, *v1::IngestRequest::descriptor(), kMaxIngestMessageCost);
    if (!cost.ok()) return Reject(cost);
  }
  const grpc::Status parsed =
      grpc::SerializationTraits<v1::IngestRequest>::Deserialize(&incoming_, &request);
  incoming_.Clear();
  if (!parsed.ok()) {
    return Reject(absl::InvalidArgumentError(
        "a message is not valid (damaged, or text that is not UTF-8); it was not stored"));
  }
  if (greeted_ == request.has_hello()) {
    return Reject(absl::InvalidArgumentError("a stream begins with one hello"));
  }
  switch (request.message_case()) {
    case v1::IngestRequest::kHello:
      return Greet(*request.mutable_hello());
    case v1::IngestRequest::kBatch:
      return Store(*request.mutable_batch());
    case v1::IngestRequest::kHeartbeat:
      if (const absl::Status status = CheckState(request.heartbeat().state()); !status.ok()) {
        return Reject(status);
      }
      store_->Heard(host_, request.heartbeat().state());
      break;
    case v1::IngestRequest::MESSAGE_NOT_SET:
      // A message of a newer agent.
      break;
  }
  StartRead(&incoming_);
}

void IngestStream::Greet(v1::Hello& hello) {
  if (const absl::Status status = CheckHello(hello); !status.ok()) return Reject(status);
  if (const absl::Status status = CheckHost(hello.host()); !status.ok()) return Reject(status);
  std::vector<uint64_t> epochs(hello.pending_epochs().begin(), hello.pending_epochs().end());
  epochs.push_back(hello.epoch());
  std::sort(epochs.begin(), epochs.end());
  epochs.erase(std::unique(epochs.begin(), epochs.end()), epochs.end());
  if (const absl::Status status = registry_->Claim(hello.host(), epochs); !status.ok()) {
    figures_->Refused(Refusal::kEpochInUse);
    LogWarning("refused a stream: %s", status.message());
    return End(status);
  }
  greeted_ = true;
  host_ = hello.host();
  epochs_ = std::move(epochs);
  LogInfo("host %s connected, agent version %s", host_, absl::CHexEscape(hello.version()));
  store_->Welcome(std::move(hello), [this](absl::StatusOr<std::vector<v1::EpochMark>> marks) {
    if (!marks.ok()) {
      figures_->RefusedByStore(marks.status());
      return End(ForAgent(marks.status()));
    }
    v1::IngestResponse response;
    v1::Welcome* welcome = response.mutable_welcome();
    welcome->set_unpacks(true);
    for (v1::EpochMark& mark : *marks) *welcome->add_marks() = std::move(mark);
    Send(std::move(response));
  });
}

void IngestStream::Store(v1::Batch& batch) {
  if (const absl::Status status = UnpackEvents(batch); !status.ok()) return Reject(status);
  if (const absl::Status status = CheckBatch(batch, epochs_); !status.ok()) return Reject(status);
  EventBatch events;
  events.host = host_;
  events.epoch = batch.epoch();
  events.first_position = batch.first_position();
  events.events = std::move(*batch.mutable_events());
  events.oldest_pending_ns = batch.oldest_pending_ns();
  const auto committed = [this, arrived = SteadyNow(), count = events.events.size(),
                          bytes = incoming_bytes_, newest = NewestOf(events)] {
    std::optional<absl::Duration> delay;
    if (newest.has_value()) delay = absl::Now() - *newest;
    figures_->Stored(static_cast<uint64_t>(count), bytes, SteadyNow() - arrived, delay);
  };
  store_->Append(std::move(events),
                 [this, committed, epoch = batch.epoch()](absl::StatusOr<uint64_t> mark) {
                   if (!mark.ok()) {
                     figures_->RefusedByStore(mark.status());
                     return End(ForAgent(mark.status()));
                   }
                   committed();
                   v1::IngestResponse response;
                   v1::EpochMark* acknowledged = response.mutable_acknowledgement()->mutable_mark();
                   acknowledged->set_epoch(epoch);
                   acknowledged->set_position(*mark);
                   Send(std::move(response));
                 });
}

void IngestStream::Send(v1::IngestResponse response) {
  response.set_time_ns(static_cast<uint64_t>(absl::GetCurrentTimeNanos()));
  // gRPC wants it empty, of the answer before too.
  outgoing_.Clear();
  bool own_buffer = false;
  const grpc::Status serialized =
      grpc::SerializationTraits<v1::IngestResponse>::Serialize(response, &outgoing_, &own_buffer);
  if (!serialized.ok()) return End(absl::InternalError("answer could not be serialized"));
  StartWrite(&outgoing_);
}

void IngestStream::OnWriteDone(bool ok) {
  if (!ok) return End(absl::OkStatus());
  StartRead(&incoming_);
}

void IngestStream::End(const absl::Status& status) {
  if (!status.ok() && greeted_) {
    LogWarning("stream of host %s ended: %s", host_, status.message());
  }
  Finish(ToGrpc(status));
}

void IngestStream::OnDone() {
  if (greeted_) {
    // Queued before the host's next stream can be welcomed.
    registry_->Release(host_, epochs_, [this] { store_->Left(host_); });
    LogInfo("host %s disconnected", host_);
  }
  figures_->StreamEnded();
  delete this;
}

}  // namespace postern::server
