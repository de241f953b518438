// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/agent/fakes/fake_collector.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "agent/canary/reserved.h"
#include "common/packing.h"
#include "postern/v1/ingest.grpc.pb.h"

namespace postern {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

}  // namespace

class FakeCollector::Service : public v1::Ingest::Service {
 public:
  grpc::Status Stream(
      grpc::ServerContext* /*context*/,
      grpc::ServerReaderWriter<v1::IngestResponse, v1::IngestRequest>* stream) override {
    v1::IngestRequest request;
    if (!stream->Read(&request) || !request.has_hello()) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "no Hello"};
    }
    v1::IngestResponse welcome;
    {
      absl::MutexLock lock(&mutex);
      if (!refusal.ok()) {
        return {static_cast<grpc::StatusCode>(refusal.raw_code()), std::string(refusal.message())};
      }
      for (const uint64_t epoch : request.hello().pending_epochs()) {
        if (epoch == epoch_in_use) return {grpc::StatusCode::ALREADY_EXISTS, "epoch in use"};
      }
      welcome.mutable_welcome()->set_unpacks(unpacks);
      hellos.push_back(request.hello());
      oldest_pending.push_back(request.hello().state().oldest_pending_ns());
      for (const uint64_t epoch : request.hello().pending_epochs()) {
        v1::EpochMark* mark = welcome.mutable_welcome()->add_marks();
        mark->set_epoch(epoch);
        mark->set_position(marks[epoch]);
      }
      unacknowledged = 0;
    }
    Stamp(welcome);
    stream->Write(welcome);
    while (stream->Read(&request)) {
      v1::IngestResponse response;
      {
        absl::MutexLock lock(&mutex);
        if (request.has_heartbeat()) {
          heartbeats.push_back(request.heartbeat());
          oldest_pending.push_back(request.heartbeat().state().oldest_pending_ns());
        }
        if (!request.has_batch()) continue;
        oldest_pending.push_back(request.batch().oldest_pending_ns());
        if (!request.batch().packed_events().empty()) {
          ++packed_batches;
          v1::Batch unpacked;
          const auto bytes =
              Unpack(request.batch().packed_events(), request.batch().packed_events_bytes());
          EXPECT_TRUE(bytes.ok() && unpacked.ParseFromString(*bytes)) << bytes.status();
          EXPECT_EQ(request.batch().events_size(), 0);
          request.mutable_batch()->mutable_events()->Swap(unpacked.mutable_events());
        }
        Commit(request.batch());
        largest_in_flight = std::max(largest_in_flight, ++unacknowledged);
        if (hold) continue;
        unacknowledged = 0;
        v1::EpochMark* mark = response.mutable_acknowledgement()->mutable_mark();
        mark->set_epoch(request.batch().epoch());
        mark->set_position(marks[request.batch().epoch()]);
      }
      Stamp(response);
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  void Stamp(v1::IngestResponse& response) ABSL_LOCKS_EXCLUDED(mutex) {
    absl::MutexLock lock(&mutex);
    if (!clock_ahead.has_value()) return;
    response.set_time_ns(static_cast<uint64_t>(absl::ToUnixNanos(absl::Now() + *clock_ahead)));
  }

  void Commit(const v1::Batch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    uint64_t& mark = marks[batch.epoch()];
    uint64_t position = batch.first_position();
    if (position > mark + 1) ++batches_with_holes;
    if (position <= mark) ++repeated_batches;
    for (const v1::Event& event : batch.events()) {
      if (position++ <= mark) continue;
      mark = position - 1;
      if (event.kind() == v1::Event::KIND_UNSPECIFIED) continue;
      (canary::IsProof(event) ? proofs : events).push_back(event);
    }
  }

  template <typename Condition>
  void Expect(const Condition& condition, const char* what) {
    absl::MutexLock lock(&mutex);
    EXPECT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&condition), kPatience))
        << "the collector waited for " << what;
  }

  absl::Mutex mutex;
  std::map<uint64_t, uint64_t> marks ABSL_GUARDED_BY(mutex);
  std::vector<v1::Event> events ABSL_GUARDED_BY(mutex);
  std::vector<v1::Event> proofs ABSL_GUARDED_BY(mutex);
  std::vector<v1::Hello> hellos ABSL_GUARDED_BY(mutex);
  std::vector<v1::Heartbeat> heartbeats ABSL_GUARDED_BY(mutex);
  std::vector<uint64_t> oldest_pending ABSL_GUARDED_BY(mutex);
  absl::Status refusal ABSL_GUARDED_BY(mutex);
  uint64_t epoch_in_use ABSL_GUARDED_BY(mutex) = 0;
  bool hold ABSL_GUARDED_BY(mutex) = false;
  bool unpacks ABSL_GUARDED_BY(mutex) = false;
  std::optional<absl::Duration> clock_ahead ABSL_GUARDED_BY(mutex);
  size_t packed_batches ABSL_GUARDED_BY(mutex) = 0;
  size_t repeated_batches ABSL_GUARDED_BY(mutex) = 0;
  size_t batches_with_holes ABSL_GUARDED_BY(mutex) = 0;
  size_t unacknowledged ABSL_GUARDED_BY(mutex) = 0;
  size_t largest_in_flight ABSL_GUARDED_BY(mutex) = 0;
  std::unique_ptr<grpc::Server> server;
};

FakeCollector::FakeCollector() : service_(std::make_unique<Service>()) {}
FakeCollector::~FakeCollector() { Stop(); }

void FakeCollector::Start(const std::string& path) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
  builder.RegisterService(service_.get());
  service_->server = builder.BuildAndStart();
  ASSERT_NE(service_->server, nullptr);
}

void FakeCollector::Stop() {
  if (service_->server == nullptr) return;
  service_->server->Shutdown(absl::ToChronoTime(absl::Now()));
  service_->server->Wait();
  service_->server.reset();
}

void FakeCollector::SetMark(uint64_t epoch, uint64_t position) {
  absl::MutexLock lock(&service_->mutex);
  service_->marks[epoch] = position;
}

void FakeCollector::HoldAcknowledgements(bool hold) {
  absl::MutexLock lock(&service_->mutex);
  service_->hold = hold;
}

void FakeCollector::SetClockAhead(absl::Duration ahead) {
  absl::MutexLock lock(&service_->mutex);
  service_->clock_ahead = ahead;
}

void FakeCollector::SetUnpacks(bool unpacks) {
  absl::MutexLock lock(&service_->mutex);
  service_->unpacks = unpacks;
}

void FakeCollector::Refuse(absl::Status status) {
  absl::MutexLock lock(&service_->mutex);
  service_->refusal = std::move(status);
}

void FakeCollector::RefuseEpoch(uint64_t epoch) {
  absl::MutexLock lock(&service_->mutex);
  service_->epoch_in_use = epoch;
}

void FakeCollector::ExpectEvents(size_t count) {
  Service& s = *service_;
  s.Expect([&s, count]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return s.events.size() >= count; },
           "events");
}

void FakeCollector::ExpectHellos(size_t count) {
  Service& s = *service_;
  s.Expect([&s, count]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return s.hellos.size() >= count; },
           "Hello");
}

void FakeCollector::ExpectHeartbeats(size_t count) {
  Service& s = *service_;
  s.Expect([&s, count]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return s.heartbeats.size() >= count; },
           "heartbeats");
}

std::vector<v1::Event> FakeCollector::events() const {
  absl::MutexLock lock(&service_->mutex);
  return service_->events;
}
std::vector<v1::Event> FakeCollector::proofs() const {
  absl::MutexLock lock(&service_->mutex);
  return service_->proofs;
}

std::vector<uint64_t> FakeCollector::oldest_pending() const {
  absl::MutexLock lock(&service_->mutex);
  return service_->oldest_pending;
}

std::vector<uint64_t> FakeCollector::sequences() const {
  std::vector<uint64_t> sequences;
  for (const v1::Event& event : events()) sequences.push_back(event.seq());
  return sequences;
}

std::vector<v1::Hello> FakeCollector::hellos() const {
  absl::MutexLock lock(&service_->mutex);
  return service_->hellos;
}

std::vector<v1::Heartbeat> FakeCollector::heartbeats() const {
  absl::MutexLock lock(&service_->mutex);
  return service_->heartbeats;
}

size_t FakeCollector::repeated_batches() const {
  absl::MutexLock lock(&service_->mutex);
  return service_->repeated_batches;
}

size_t FakeCollector::packed_batches() const {
  absl::MutexLock lock(&service_->mutex);
  return service_->packed_batches;
}

size_t FakeCollector::batches_with_holes() const {
  absl::MutexLock lock(&service_->mutex);
  return service_->batches_with_holes;
}

size_t FakeCollector::largest_in_flight() const {
  absl::MutexLock lock(&service_->mutex);
  return service_->largest_in_flight;
}

}  // namespace postern
