// SPDX-License-Identifier: Apache-2.0
// The Ingest protocol over a real socket.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <limits>
#include <thread>

#include "common/packing.h"
#include "server/ingest/ingest_service.h"
#include "tests/unit/server/collector_fixture.h"

namespace postern::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class IngestTest : public CollectorFixture {
 protected:
  // A live stream that claims the epoch may take a moment to be seen as gone.
  std::unique_ptr<AgentStream> Reconnect(const std::string& host, uint64_t epoch,
                                         v1::Welcome* welcome) {
    const auto deadline = Deadline();
    while (std::chrono::system_clock::now() < deadline) {
      auto stream = std::make_unique<AgentStream>(IngestSocket());
      if (std::optional<v1::Welcome> answer = stream->Greet(host, epoch)) {
        *welcome = *std::move(answer);
        return stream;
      }
      EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::ALREADY_EXISTS);
    }
    return nullptr;
  }

  // How a stream ends that sends `event`, of a host with an epoch of its own.
  grpc::Status RefusalOf(const v1::Event& event) {
    const uint64_t epoch = next_epoch_++;
    AgentStream agent(IngestSocket());
    EXPECT_TRUE(agent.Greet("web1", epoch));
    v1::IngestRequest request;
    request.mutable_batch()->set_epoch(epoch);
    request.mutable_batch()->set_first_position(1);
    *request.mutable_batch()->add_events() = event;
    EXPECT_TRUE(agent.Send(request));
    return agent.Finish();
  }

 private:
  uint64_t next_epoch_ = 100;
};

TEST_F(IngestTest, BatchIsFoundOnceItIsAcknowledged) {
  AgentStream agent(IngestSocket());
  const std::optional<v1::Welcome> welcome = agent.Greet("web1", 7, {5});
  ASSERT_TRUE(welcome);
  ASSERT_EQ(welcome->marks_size(), 2);
  EXPECT_EQ(welcome->marks(0).epoch(), 7u);
  EXPECT_EQ(welcome->marks(0).position(), 0u);
  EXPECT_EQ(agent.SendBatch(7, 1, {"a", "b"}), 2u);
  EXPECT_THAT(Found(), ElementsAre("b", "a"));
  EXPECT_EQ(agent.SendBatch(5, 1, {"c"}), 1u);
  EXPECT_THAT(Found(), SizeIs(3));
  EXPECT_TRUE(agent.Finish().ok());
}

TEST_F(IngestTest, WhatIsSentAgainAfterALostLinkIsKeptOnce) {
  {
    AgentStream agent(IngestSocket());
    ASSERT_TRUE(agent.Greet("web1", 7));
    EXPECT_EQ(agent.SendBatch(7, 1, {"a", "b"}), 2u);
    // Goes before it has seen the answer.
    EXPECT_TRUE(agent.SendBatchOnly(7, 3, {"c"}));
    agent.Cancel();
    agent.Finish();
  }
  v1::Welcome welcome;
  std::unique_ptr<AgentStream> agent = Reconnect("web1", 7, &welcome);
  ASSERT_NE(agent, nullptr);
  ASSERT_EQ(welcome.marks_size(), 1);
  EXPECT_THAT(welcome.marks(0).position(), testing::AnyOf(2u, 3u));
  EXPECT_EQ(agent->SendBatch(7, 1, {"a", "b", "c", "d"}), 4u);
  EXPECT_THAT(Found(), ElementsAre("d", "c", "b", "a"));
}

TEST_F(IngestTest, CollectorThatRestartsKnowsHowFarItWas) {
  {
    AgentStream agent(IngestSocket());
    ASSERT_TRUE(agent.Greet("web1", 7));
    EXPECT_EQ(agent.SendBatch(7, 1, {"a", "b"}), 2u);
    Stop();
    EXPECT_FALSE(agent.Finish().ok());
  }
  Start();
  AgentStream agent(IngestSocket());
  const std::optional<v1::Welcome> welcome = agent.Greet("web1", 9, {7});
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->marks(0).position(), 0u);
  EXPECT_EQ(welcome->marks(1).position(), 2u);
  EXPECT_EQ(agent.SendBatch(7, 2, {"b", "c"}), 3u);
  EXPECT_THAT(Found(), ElementsAre("c", "b", "a"));
}

TEST_F(IngestTest, EpochInUseByAnotherStreamIsRefused) {
  AgentStream agent(IngestSocket());
  ASSERT_TRUE(agent.Greet("web1", 7));
  AgentStream clone(IngestSocket());
  EXPECT_FALSE(clone.Greet("web1-clone", 9, {7}));
  const grpc::Status refused = clone.Finish();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_THAT(refused.error_message(), HasSubstr("cloned"));
  // The refused one claimed nothing, and the first goes on.
  AgentStream other(IngestSocket());
  EXPECT_TRUE(other.Greet("web2", 9));
  EXPECT_EQ(agent.SendBatch(7, 1, {"a"}), 1u);
}

TEST_F(IngestTest, PackedBatchIsStoredAsAnyOther) {
  AgentStream agent(IngestSocket());
  const std::optional<v1::Welcome> welcome = agent.Greet("web1", 7);
  ASSERT_TRUE(welcome);
  EXPECT_TRUE(welcome->unpacks());
  EXPECT_EQ(agent.SendPacked(7, 1, {"a", "b"}), 2u);
  EXPECT_THAT(Found(), ElementsAre("b", "a"));
}

TEST_F(IngestTest, LastAcknowledgementBeyondAnyPositionIsRefused) {
  AgentStream agent(IngestSocket());
  v1::IngestRequest request;
  request.mutable_hello()->set_host("web1");
  request.mutable_hello()->set_epoch(7);
  request.mutable_hello()->mutable_last_acknowledged()->set_epoch(7);
  request.mutable_hello()->mutable_last_acknowledged()->set_position(~uint64_t{0});
  EXPECT_TRUE(agent.Send(request));
  EXPECT_EQ(agent.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(Hosts(), IsEmpty());
}

TEST_F(IngestTest, PackedBatchThatIsNotWhatItSaysEndsTheStream) {
  // Far longer than it says, longer than anything may be, no stream at all, and beside others.
  for (int way = 0; way < 4; ++way) {
    AgentStream agent(IngestSocket());
    ASSERT_TRUE(agent.Greet("web1", 7 + static_cast<uint64_t>(way)));
    v1::IngestRequest request;
    v1::Batch& batch = *request.mutable_batch();
    batch.set_epoch(7 + static_cast<uint64_t>(way));
    batch.set_first_position(1);
    const std::string long_bytes(size_t{256} << 20, '\0');
    batch.set_packed_events(way == 2 ? "garbage" : Pack(long_bytes));
    batch.set_packed_events_bytes(way == 1 ? static_cast<uint32_t>(long_bytes.size()) : 1000);
    if (way == 3) batch.add_events()->set_kind(v1::Event::CONNECT);
    EXPECT_TRUE(agent.Send(request));
    EXPECT_EQ(agent.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT) << way;
  }
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(IngestTest, MessageThatUnpacksToMoreThanItsBytesEndsTheStream) {
  // 3 million events without a field, in 6 MB, and in 6 KB.
  std::string empty;
  for (int i = 0; i < 3'000'000; ++i) empty += std::string("\x1a\x00", 2);
  for (const bool packed : {false, true}) {
    AgentStream agent(IngestSocket());
    ASSERT_TRUE(agent.Greet("web1", packed ? 8 : 7));
    v1::IngestRequest request;
    v1::Batch& batch = *request.mutable_batch();
    if (packed) {
      batch.set_packed_events(Pack(empty));
      batch.set_packed_events_bytes(static_cast<uint32_t>(empty.size()));
    } else {
      ASSERT_TRUE(batch.ParseFromString(empty));
    }
    batch.set_epoch(packed ? 8 : 7);
    batch.set_first_position(1);
    EXPECT_TRUE(agent.Send(request));
    const grpc::Status refused = agent.Finish();
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(refused.error_message(), HasSubstr("more than 32 MiB"));
  }
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(IngestTest, TextOfAnAgentThatHasNoEndIsRefused) {
  const std::string text(129, 'v');
  for (int field = 0; field < 5; ++field) {
    SCOPED_TRACE(field);
    AgentStream agent(IngestSocket());
    v1::IngestRequest request;
    if (field == 4) {
      ASSERT_TRUE(agent.Greet("web1", 7));
      request.mutable_heartbeat()->mutable_state()->set_mode(text);
    } else {
      v1::Hello& hello = *request.mutable_hello();
      hello.set_host("web1");
      hello.set_epoch(7);
      if (field == 0) hello.set_agent(text);
      if (field == 1) hello.set_boot(text);
      if (field == 2) hello.set_version(text);
      if (field == 3) hello.mutable_state()->set_mode(text);
    }
    EXPECT_TRUE(agent.Send(request));
    const grpc::Status refused = agent.Finish();
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(refused.error_message(), HasSubstr("is longer than 128 bytes"));
  }
}

TEST_F(IngestTest, WhatTheCollectorAloneRecordsIsRefusedOfAnAgent) {
  std::vector<v1::Event> forged(1);
  forged[0].set_kind(v1::Event::AGENT_SILENT);
  for (const v1::Gap::Reason reason :
       {v1::Gap::EXPIRED, v1::Gap::NOT_REPORTED, v1::Gap::NOT_ARRIVED, v1::Gap::STORE_DAMAGED,
        v1::Gap::ELSEWHERE}) {
    forged.emplace_back().set_kind(v1::Event::GAP);
    forged.back().mutable_gap()->set_reason(reason);
  }
  for (const v1::Event& event : forged) {
    SCOPED_TRACE(event.ShortDebugString());
    const grpc::Status refused = RefusalOf(event);
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(refused.error_message(), HasSubstr("the collector alone records"));
  }
  EXPECT_THAT(Found(), IsEmpty());
  EXPECT_EQ(completeness_.gaps_size(), 0);
}

TEST_F(IngestTest, TimesAndCountsThatNoClockAndNoCounterShowsAreRefused) {
  constexpr uint64_t kTooMuch = uint64_t{1} << 63;
  // Some thousands of them are more than SQLite can sum, with everybody's events.
  constexpr uint64_t kTooMany = (uint64_t{1} << 40) + 1;
  std::vector<v1::Event> garbage(6);
  garbage[0].set_time_ns(kTooMuch);
  garbage[1].set_last_time_ns(~uint64_t{0});
  garbage[2].set_repeats(kTooMany);
  garbage[3].mutable_gap()->set_from_ns(kTooMuch);
  garbage[4].mutable_gap()->set_to_ns(kTooMuch);
  garbage[5].mutable_gap()->set_count(kTooMany);
  for (v1::Event& event : garbage) {
    event.set_kind(event.has_gap() ? v1::Event::GAP : v1::Event::CONNECT);
    SCOPED_TRACE(event.ShortDebugString());
    const grpc::Status refused = RefusalOf(event);
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(refused.error_message(), HasSubstr("'"));
  }
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(IngestTest, StateWithATimeThatNoClockShowsIsRefused) {
  for (const bool pending : {true, false}) {
    AgentStream agent(IngestSocket());
    ASSERT_TRUE(agent.Greet("web1", pending ? 7 : 8));
    v1::IngestRequest request;
    v1::AgentState& state = *request.mutable_heartbeat()->mutable_state();
    if (pending) state.set_oldest_pending_ns(~uint64_t{0});
    if (!pending) state.set_not_watched_since_ns(~uint64_t{0});
    EXPECT_TRUE(agent.Send(request));
    EXPECT_EQ(agent.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(IngestTest, EventsOfAHostWhoseClockIsWrongAreKeptAndFound) {
  AgentStream agent(IngestSocket());
  ASSERT_TRUE(agent.Greet("web1", 7));
  v1::IngestRequest request = agent.RequestOf(7, 1, {"1970", "none", "2262"});
  auto& events = *request.mutable_batch()->mutable_events();
  events[0].set_time_ns(60'000'000'000);
  events[1].set_time_ns(0);
  events[2].set_time_ns(std::numeric_limits<int64_t>::max());
  // Its end before its beginning, and more attempts than there were.
  events[2].set_last_time_ns(1);
  events[2].set_repeats(uint64_t{1} << 40);
  EXPECT_EQ(agent.Deliver(request), 3u);
  EXPECT_EQ(agent.SendBatch(7, 4, {"now"}), 4u);
  EXPECT_THAT(Found(), ElementsAre("2262", "now", "1970", "none"));
  v1::FindRequest year;
  year.mutable_filter()->set_since_ns(0);
  year.mutable_filter()->set_until_ns(uint64_t{365} * 86'400 * 1'000'000'000);
  EXPECT_THAT(Found(year), ElementsAre("1970", "none"));
}

TEST_F(IngestTest, BatchBeyondTheMarkEndsTheStream) {
  AgentStream agent(IngestSocket());
  ASSERT_TRUE(agent.Greet("web1", 7));
  EXPECT_FALSE(agent.SendBatch(7, 2, {"b"}));
  EXPECT_EQ(agent.Finish().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(IngestTest, StreamThatDoesNotBeginWithAHelloIsRefused) {
  AgentStream agent(IngestSocket());
  EXPECT_FALSE(agent.SendBatch(7, 1, {"a"}));
  EXPECT_EQ(agent.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(IngestTest, SecondHelloIsRefused) {
  AgentStream agent(IngestSocket());
  ASSERT_TRUE(agent.Greet("web1", 7));
  EXPECT_FALSE(agent.Greet("web1", 7));
  EXPECT_EQ(agent.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(IngestTest, HelloWithoutHostOrEpochIsRefused) {
  for (const auto& [host, epoch] : {std::pair<std::string, uint64_t>{"", 7},
                                    {"web 1", 7},
                                    {std::string(256, 'a'), 7},
                                    {"web1", 0}}) {
    AgentStream agent(IngestSocket());
    EXPECT_FALSE(agent.Greet(host, epoch)) << host;
    EXPECT_EQ(agent.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  EXPECT_THAT(Hosts(), IsEmpty());
}

TEST_F(IngestTest, BatchOfAnEpochNotNamedOrWithoutEventsIsRefused) {
  for (const auto& [epoch, position, count] : {std::tuple<uint64_t, uint64_t, int>{8, 1, 1},
                                               {7, 0, 1},
                                               {7, ~uint64_t{0}, 1},
                                               {7, 1, 0},
                                               {7, 1, kMaxBatchEvents + 1}}) {
    v1::Welcome welcome;
    std::unique_ptr<AgentStream> agent = Reconnect("web1", 7, &welcome);
    ASSERT_NE(agent, nullptr);
    EXPECT_FALSE(agent->SendBatch(epoch, position,
                                  std::vector<std::string>(static_cast<size_t>(count), "a")));
    EXPECT_EQ(agent->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(IngestTest, TextThatIsNotUtf8EndsItsStreamAndNoOther) {
  AgentStream good(IngestSocket());
  ASSERT_TRUE(good.Greet("web1", 7));

  // Field 1 (hello), in it field 1 (host): one byte that is not UTF-8.
  const std::string message = "\x0a\x03\x0a\x01\xff";
  grpc::Slice slice(message);
  grpc::ByteBuffer buffer(&slice, 1);
  auto channel = grpc::CreateChannel("unix:" + IngestSocket(), grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(Deadline());
  grpc::CompletionQueue queue;
  auto stream = stub.PrepareCall(&context, "/postern.v1.Ingest/Stream", &queue);
  const auto finished = [&] {
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    return ok;
  };
  stream->StartCall(nullptr);
  ASSERT_TRUE(finished());
  stream->Write(buffer, nullptr);
  ASSERT_TRUE(finished());
  grpc::Status status;
  stream->Finish(&status, nullptr);
  ASSERT_TRUE(finished());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("UTF-8"));

  EXPECT_EQ(good.SendBatch(7, 1, {"a"}), 1u);
}

TEST_F(IngestTest, MessageAboveTheLimitEndsItsStreamAndNoOther) {
  AgentStream good(IngestSocket());
  ASSERT_TRUE(good.Greet("web1", 7));
  AgentStream large(IngestSocket());
  ASSERT_TRUE(large.Greet("web2", 8));
  EXPECT_FALSE(large.SendBatch(8, 1, {std::string(kMaxIngestMessageBytes + 1, 'a')}));
  EXPECT_EQ(large.Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(good.SendBatch(7, 1, {std::string(kMaxIngestMessageBytes / 2, 'a')}), 1u);
}

TEST_F(IngestTest, HeartbeatsAndTheEndOfTheStreamShowInHosts) {
  AgentStream agent(IngestSocket());
  ASSERT_TRUE(agent.Greet("web1", 7));
  ASSERT_THAT(Hosts(), SizeIs(1));
  EXPECT_TRUE(Hosts()[0].connected());
  v1::IngestRequest heartbeat;
  heartbeat.mutable_heartbeat()->mutable_state()->set_mode("enforce");
  heartbeat.mutable_heartbeat()->mutable_state()->set_events_lost(4);
  ASSERT_TRUE(agent.Send(heartbeat));
  // Heartbeats are not answered; a batch behind it is.
  EXPECT_EQ(agent.SendBatch(7, 1, {"a"}), 1u);
  EXPECT_EQ(Hosts()[0].mode(), "enforce");
  EXPECT_EQ(Hosts()[0].events_lost(), 4u);
  EXPECT_TRUE(agent.Finish().ok());
  const auto deadline = Deadline();
  while (Hosts()[0].connected()) ASSERT_LT(std::chrono::system_clock::now(), deadline);
}

TEST_F(IngestTest, ManyAgentsAtOnce) {
  constexpr int kAgents = 8;
  constexpr uint64_t kBatches = 20;
  std::vector<std::thread> threads;
  threads.reserve(kAgents);
  for (int i = 0; i < kAgents; ++i) {
    threads.emplace_back([this, i] {
      const auto epoch = static_cast<uint64_t>(i) + 1;
      AgentStream agent(IngestSocket());
      ASSERT_TRUE(agent.Greet("web" + std::to_string(i), epoch));
      for (uint64_t position = 1; position <= kBatches; ++position) {
        ASSERT_EQ(agent.SendBatch(epoch, position, {"a"}), position);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(Found(), SizeIs(kAgents * kBatches));
  EXPECT_THAT(Hosts(), SizeIs(kAgents));
}

}  // namespace
}  // namespace postern::server
