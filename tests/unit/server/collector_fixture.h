// SPDX-License-Identifier: Apache-2.0
// A whole collector in a folder of its own, spoken to over its real sockets.
// Includes gRPC.
#ifndef POSTERN_TESTS_UNIT_SERVER_COLLECTOR_FIXTURE_H_
#define POSTERN_TESTS_UNIT_SERVER_COLLECTOR_FIXTURE_H_

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "common/packing.h"
#include "postern/v1/ingest.grpc.pb.h"
#include "postern/v1/query.grpc.pb.h"
#include "server/collector.h"
#include "tests/support/temporary_folder.h"

namespace postern::server {

// Nothing here takes this long; it only ends a test that hangs.
inline std::chrono::system_clock::time_point Deadline() {
  return std::chrono::system_clock::now() + std::chrono::seconds(30);
}

// An agent's end of a stream.
class AgentStream {
 public:
  explicit AgentStream(const std::string& socket)
      : AgentStream(grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(),
                                              OwnConnection())) {}
  explicit AgentStream(std::shared_ptr<grpc::Channel> channel)
      : channel_(std::move(channel)), stub_(v1::Ingest::NewStub(channel_)) {
    context_.set_deadline(Deadline());
    context_.set_wait_for_ready(true);
    stream_ = stub_->Stream(&context_);
  }
  ~AgentStream() {
    if (!finished_) Finish();
  }

  // nullopt where the stream was refused.
  std::optional<v1::Welcome> Greet(const std::string& host, uint64_t epoch,
                                   const std::vector<uint64_t>& pending = {}) {
    v1::IngestRequest request;
    v1::Hello& hello = *request.mutable_hello();
    hello.set_host(host);
    hello.set_version("1.2");
    hello.set_epoch(epoch);
    for (const uint64_t other : pending) hello.add_pending_epochs(other);
    hello.mutable_state()->set_mode("monitor");
    hello.mutable_state()->set_healthy(true);
    v1::IngestResponse response;
    if (!Send(request) || !stream_->Read(&response)) return std::nullopt;
    EXPECT_TRUE(response.has_welcome());
    return response.welcome();
  }

  // The acknowledged position; nullopt where the batch was refused.
  std::optional<uint64_t> SendBatch(uint64_t epoch, uint64_t first_position,
                                    const std::vector<std::string>& comms) {
    return Deliver(RequestOf(epoch, first_position, comms));
  }
  // Likewise, of a batch that is there.
  std::optional<uint64_t> Deliver(const v1::IngestRequest& request) {
    v1::IngestResponse response;
    if (!Send(request) || !stream_->Read(&response)) return std::nullopt;
    EXPECT_EQ(response.acknowledgement().mark().epoch(), request.batch().epoch());
    return response.acknowledgement().mark().position();
  }
  std::optional<uint64_t> SendPacked(uint64_t epoch, uint64_t first_position,
                                     const std::vector<std::string>& comms) {
    v1::IngestRequest request = RequestOf(epoch, first_position, comms);
    v1::Batch events;
    events.mutable_events()->Swap(request.mutable_batch()->mutable_events());
    const std::string bytes = events.SerializeAsString();
    request.mutable_batch()->set_packed_events(Pack(bytes));
    request.mutable_batch()->set_packed_events_bytes(static_cast<uint32_t>(bytes.size()));
    return Deliver(request);
  }
  bool SendBatchOnly(uint64_t epoch, uint64_t first_position,
                     const std::vector<std::string>& comms) {
    return Send(RequestOf(epoch, first_position, comms));
  }
  v1::IngestRequest RequestOf(uint64_t epoch, uint64_t first_position,
                              const std::vector<std::string>& comms) {
    v1::IngestRequest request;
    v1::Batch& batch = *request.mutable_batch();
    batch.set_epoch(epoch);
    batch.set_first_position(first_position);
    for (size_t i = 0; i < comms.size(); ++i) {
      v1::Event& event = *batch.add_events();
      event.set_kind(v1::Event::CONNECT);
      event.set_time_ns(began_ + first_position + i);
      event.set_comm(comms[i]);
      event.set_port(25);
    }
    return request;
  }
  bool Send(const v1::IngestRequest& request) { return stream_->Write(request); }

  void Cancel() { context_.TryCancel(); }
  // Ends the stream; how it ended.
  grpc::Status Finish() {
    finished_ = true;
    stream_->WritesDone();
    v1::IngestResponse ignored;
    while (stream_->Read(&ignored)) {
    }
    return stream_->Finish();
  }

 private:
  // Channels to one address share a connection otherwise.
  static grpc::ChannelArguments OwnConnection() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return arguments;
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Ingest::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::IngestRequest, v1::IngestResponse>> stream_;
  // Lately, or retention would take what the tests write.
  const uint64_t began_ = static_cast<uint64_t>(absl::GetCurrentTimeNanos());
  bool finished_ = false;
};

class CollectorFixture : public testing::Test {
 protected:
  void SetUp() override {
    config_.run_dir = folder_ / "run";
    config_.sqlite_path = folder_ / "events.db";
    Start();
  }

  void Start() {
    absl::StatusOr<std::unique_ptr<Collector>> collector = Collector::Start(config_);
    ASSERT_TRUE(collector.ok()) << collector.status();
    collector_ = *std::move(collector);
  }
  void Stop() { collector_.reset(); }
  // Of a start that must fail.
  std::string Refusal() { return Refusal(config_); }
  static std::string Refusal(const CollectorConfig& config) {
    const absl::StatusOr<std::unique_ptr<Collector>> collector = Collector::Start(config);
    return collector.ok() ? "" : std::string(collector.status().message());
  }

  std::string IngestSocket() const { return config_.run_dir + "/ingest.sock"; }
  std::string QuerySocket() const { return config_.run_dir + "/query.sock"; }

  std::unique_ptr<v1::Query::Stub> QueryStub() const { return QueryStub(QuerySocket()); }
  static std::unique_ptr<v1::Query::Stub> QueryStub(const std::string& socket) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return v1::Query::NewStub(
        grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments));
  }

  // The comm of each event found, newest first.
  std::vector<std::string> Found(const v1::FindRequest& request = {}) {
    std::vector<std::string> comms;
    grpc::ClientContext context;
    context.set_deadline(Deadline());
    auto stub = QueryStub();
    auto reader = stub->Find(&context, request);
    v1::FindResponse response;
    while (reader->Read(&response)) {
      if (response.has_event()) comms.push_back(response.event().comm());
      if (response.has_completeness()) completeness_ = response.completeness();
    }
    status_ = reader->Finish();
    return comms;
  }

  std::vector<v1::Host> Hosts() {
    grpc::ClientContext context;
    context.set_deadline(Deadline());
    v1::HostsResponse response;
    status_ = QueryStub()->Hosts(&context, {}, &response);
    return {response.hosts().begin(), response.hosts().end()};
  }

  TemporaryFolder folder_;
  CollectorConfig config_;
  std::unique_ptr<Collector> collector_;
  // Of the last question.
  v1::Completeness completeness_;
  grpc::Status status_;
};

}  // namespace postern::server

#endif  // POSTERN_TESTS_UNIT_SERVER_COLLECTOR_FIXTURE_H_
