// SPDX-License-Identifier: Apache-2.0
// The Query service over a real socket.
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/unique_fd.h"
#include "tests/unit/server/collector_fixture.h"

namespace postern::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class QueryTest : public CollectorFixture {
 protected:
  void Write(const std::string& host, uint64_t epoch, const std::vector<std::string>& comms) {
    AgentStream agent(IngestSocket());
    ASSERT_TRUE(agent.Greet(host, epoch));
    ASSERT_EQ(agent.SendBatch(epoch, 1, comms), comms.size());
  }
};

TEST_F(QueryTest, FindAnswersNewestFirstAndEndsWithCompleteness) {
  // A host that has left is not complete up to now.
  AgentStream agent(IngestSocket());
  ASSERT_TRUE(agent.Greet("web1", 7));
  ASSERT_EQ(agent.SendBatch(7, 1, {"a", "b", "c"}), 3u);
  v1::FindRequest request;
  request.set_limit(2);
  EXPECT_THAT(Found(request), ElementsAre("c", "b"));
  EXPECT_TRUE(status_.ok());
  EXPECT_TRUE(completeness_.complete());
  EXPECT_TRUE(completeness_.truncated());
  request.mutable_filter()->add_hosts("none");
  EXPECT_THAT(Found(request), IsEmpty());
  EXPECT_FALSE(completeness_.complete());
  EXPECT_FALSE(completeness_.truncated());
  EXPECT_THAT(completeness_.unknown_hosts(), ElementsAre("none"));
}

TEST_F(QueryTest, ManyEventsAreStreamed) {
  Write("web1", 7, std::vector<std::string>(3000, "a"));
  EXPECT_THAT(Found(), SizeIs(3000));
  EXPECT_TRUE(status_.ok());
}

TEST_F(QueryTest, GroupsCountAndEndWithCompleteness) {
  Write("web1", 7, {"a", "b", "b"});
  Write("web2", 8, {"b"});
  v1::GroupRequest request;
  request.add_fields("comm");
  request.add_fields("port");
  grpc::ClientContext context;
  context.set_deadline(Deadline());
  auto stub = QueryStub();
  auto reader = stub->Group(&context, request);
  v1::GroupResponse response;
  std::vector<std::string> lines;
  bool ended = false;
  while (reader->Read(&response)) {
    ended = response.has_completeness();
    if (ended) continue;
    const v1::Group& group = response.group();
    lines.push_back(group.values(0) + " " + group.values(1) + " " + std::to_string(group.count()));
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(ended);
  EXPECT_THAT(lines, ElementsAre("b 25 3", "a 25 1"));
}

TEST_F(QueryTest, WhatCannotBeAskedIsInvalidInOneLine) {
  v1::FindRequest request;
  request.mutable_filter()->add_destinations("example.com");
  Found(request);
  EXPECT_EQ(status_.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status_.error_message(), HasSubstr("'example.com'"));
}

TEST_F(QueryTest, CallerWhoLeavesEndsTheSearch) {
  Write("web1", 7, std::vector<std::string>(5000, "a"));
  auto stub = QueryStub();
  {
    grpc::ClientContext context;
    auto reader = stub->Find(&context, {});
    v1::FindResponse response;
    ASSERT_TRUE(reader->Read(&response));
    context.TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_THAT(Found(), SizeIs(5000));
}

TEST_F(QueryTest, StoppingEndsAQuestionUnderWay) {
  // Far more than what gRPC and the socket hold between them.
  for (uint64_t epoch = 1; epoch <= 8; ++epoch) {
    Write("web1", epoch, std::vector<std::string>(100, std::string(64 << 10, 'a')));
  }
  auto stub = QueryStub();
  grpc::ClientContext context;
  context.set_deadline(Deadline());
  auto reader = stub->Find(&context, {});
  v1::FindResponse response;
  // Reads one and no more: the collector waits for the window to open.
  ASSERT_TRUE(reader->Read(&response));
  Stop();
  while (reader->Read(&response)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
}

// UNAVAILABLE and DEADLINE_EXCEEDED are what gRPC says of a collector that is away.
TEST_F(QueryTest, StoreThatIsAwayIsToldOfByTheCollector) {
  Stop();
  // Nobody listens at a port that is only bound.
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(fd.get(), any, length), 0);
  ASSERT_EQ(getsockname(fd.get(), any, &length), 0);
  config_.clickhouse.emplace();
  config_.clickhouse->host = "127.0.0.1";
  config_.clickhouse->port = ntohs(address.sin_port);
  config_.clickhouse->database = "postern";
  ASSERT_NO_FATAL_FAILURE(Start());
  const auto expect_told = [this] {
    EXPECT_EQ(status_.error_code(), grpc::StatusCode::INTERNAL);
    EXPECT_THAT(status_.error_message(),
                AllOf(HasSubstr("cannot reach ClickHouse at clickhouse://127.0.0.1:"),
                      HasSubstr("; is the server running")));
  };
  Found();
  expect_told();
  Hosts();
  expect_told();
}

TEST_F(QueryTest, EachSocketServesItsOwnServiceOnly) {
  grpc::ClientContext context;
  context.set_deadline(Deadline());
  v1::HostsResponse response;
  EXPECT_EQ(QueryStub(IngestSocket())->Hosts(&context, {}, &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  AgentStream agent(QuerySocket());
  EXPECT_FALSE(agent.Greet("web1", 7));
  EXPECT_EQ(agent.Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace postern::server
