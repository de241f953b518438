// SPDX-License-Identifier: Apache-2.0
// Starting and stopping: folders, sockets, and who is kept out.
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/unique_fd.h"
#include "tests/support/free_port.h"
#include "tests/support/http.h"
#include "tests/support/idle_connections.h"
#include "tests/support/process.h"
#include "tests/unit/server/collector_fixture.h"

namespace postern::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

namespace fs = std::filesystem;

mode_t ModeOf(const std::string& path) {
  struct stat status = {};
  EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

// A socket that somebody listens on, or that nobody does any more.
UniqueFd Listen(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(listen(fd.get(), 1), 0);
  return fd;
}

class CollectorTest : public CollectorFixture {};

TEST_F(CollectorTest, SocketsAndFilesAreTheirOwnersAlone) {
  EXPECT_EQ(ModeOf(config_.run_dir), 0755u);
  EXPECT_EQ(ModeOf(IngestSocket()) & 077, 0u);
  EXPECT_EQ(ModeOf(config_.sqlite_path) & 077, 0u);
  EXPECT_EQ(ModeOf(QuerySocket()) & 07, 0u);
  const mode_t group = getgrnam("postern") == nullptr ? 0 : 060;
  EXPECT_EQ(ModeOf(QuerySocket()) & 070, group);
}

TEST_F(CollectorTest, SecondCollectorInOneRunDirIsRefused) {
  CollectorConfig other = config_;
  other.sqlite_path = folder_ / "other.db";
  EXPECT_THAT(Refusal(other), HasSubstr("another postern-collector is running"));
  // And left the first as it is.
  EXPECT_THAT(Hosts(), SizeIs(0));
  EXPECT_TRUE(status_.ok());
}

TEST_F(CollectorTest, SecondCollectorOnOneStoreIsRefused) {
  CollectorConfig other = config_;
  other.run_dir = folder_ / "run2";
  EXPECT_THAT(Refusal(other), HasSubstr("another postern-collector uses this store"));
}

TEST_F(CollectorTest, StaleSocketsAreReplaced) {
  Stop();
  Listen(IngestSocket());
  Listen(QuerySocket());
  Start();
  AgentStream agent(IngestSocket());
  EXPECT_TRUE(agent.Greet("web1", 7));
  EXPECT_THAT(Hosts(), SizeIs(1));
}

TEST_F(CollectorTest, SocketThatSomebodyListensOnIsLeftToThem) {
  Stop();
  const UniqueFd listener = Listen(QuerySocket());
  EXPECT_THAT(Refusal(), HasSubstr("somebody listens here"));
  EXPECT_TRUE(fs::exists(QuerySocket()));
}

TEST_F(CollectorTest, FileInPlaceOfASocketIsLeftAlone) {
  Stop();
  std::ofstream(QuerySocket()) << "data";
  EXPECT_THAT(Refusal(), HasSubstr("no socket"));
  EXPECT_TRUE(fs::is_regular_file(QuerySocket()));
}

TEST_F(CollectorTest, RunDirThatOthersMayWriteIsRefused) {
  Stop();
  ASSERT_EQ(chmod(config_.run_dir.c_str(), 0777), 0);
  EXPECT_THAT(Refusal(), HasSubstr("writable by others"));
}

TEST_F(CollectorTest, RunDirThatIsASymlinkOrAFileIsRefused) {
  CollectorConfig other = config_;
  other.run_dir = folder_ / "link";
  fs::create_symlink(config_.run_dir, other.run_dir);
  EXPECT_THAT(Refusal(other), HasSubstr("not a folder"));
  other.run_dir = config_.sqlite_path;
  EXPECT_THAT(Refusal(other), HasSubstr("not a folder"));
  other.run_dir = folder_ / "none/run";
  EXPECT_THAT(Refusal(other), HasSubstr("cannot make 'run_dir'"));
}

TEST_F(CollectorTest, GarbageInPlaceOfTheStoreIsRefusedAndLeaves) {
  Stop();
  CollectorConfig other = config_;
  other.sqlite_path = folder_ / "garbage.db";
  std::ofstream(other.sqlite_path) << std::string(5000, 'x');
  EXPECT_THAT(Refusal(other), HasSubstr("not a database"));
  EXPECT_EQ(fs::file_size(other.sqlite_path), 5000u);
  Start();
}

TEST_F(CollectorTest, StoreInAFolderThatIsMissingIsRefusedAndMakesNone) {
  Stop();
  CollectorConfig other = config_;
  other.sqlite_path = folder_ / "typo/events.db";
  EXPECT_THAT(Refusal(other),
              HasSubstr("'store' wants its folder " + folder_ / "typo/" + " to be there: make it"));
  EXPECT_FALSE(fs::exists(folder_ / "typo"));
  Start();
}

TEST_F(CollectorTest, ReadersThatHoldMoreConnectionsThanThereAreFilesStopNoAgent) {
  const support::FileLimit limit(256);
  {
    const support::IdleConnections readers(QuerySocket(), 400);
    ASSERT_EQ(readers.made(), 400);
    AgentStream agent(IngestSocket());
    EXPECT_TRUE(agent.Greet("web1", 7));
    EXPECT_EQ(agent.SendBatch(7, 1, {"a", "b"}), 2u);
  }
  // Refused as long as it is not seen that the others have left.
  EXPECT_TRUE(support::Eventually([&] { return Found().size() == 2; })) << status_.error_message();
  AgentStream agent(IngestSocket());
  EXPECT_TRUE(agent.Greet("web1", 8));
}

TEST_F(CollectorTest, StoppingRemovesTheSockets) {
  Stop();
  EXPECT_FALSE(fs::exists(IngestSocket()));
  EXPECT_FALSE(fs::exists(QuerySocket()));
}

class CollectorMetricsTest : public CollectorFixture {
 protected:
  CollectorMetricsTest() { config_.metrics = address_; }

  std::string Metrics() {
    const support::HttpAnswer answer = support::Ask(address_, "/metrics");
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.body;
  }

  const std::string address_ = "127.0.0.1:" + support::FreePort();
};

TEST_F(CollectorMetricsTest, CountWhatComesAndWhatIsAsked) {
  {
    AgentStream agent(IngestSocket());
    ASSERT_TRUE(agent.Greet("web1.example.net", 7));
    ASSERT_TRUE(agent.SendBatch(7, 1, {"smtp", "perl"}));
    ASSERT_TRUE(agent.SendPacked(7, 3, {"php"}));
    AgentStream clone(IngestSocket());
    EXPECT_FALSE(clone.Greet("web1.example.net", 7));
    AgentStream stranger(IngestSocket());
    EXPECT_FALSE(stranger.SendBatch(8, 1, {"smtp"}));
    EXPECT_FALSE(agent.SendBatch(7, 9, {"smtp"})) << "a hole";
  }
  EXPECT_THAT(Found(), SizeIs(3));
  const std::string metrics = Metrics();
  for (const char* line :
       {"\npostern_collector_ingest_batches_total 2\n",
        "\npostern_collector_ingest_events_total 3\n", "{reason=\"epoch_in_use\"} 1\n",
        "{reason=\"garbage\"} 1\n", "{reason=\"hole\"} 1\n", "{reason=\"stranger\"} 0\n",
        "\npostern_collector_event_delay_seconds_count 2\n",
        "\npostern_collector_ingest_commit_duration_seconds_count 2\n",
        "\npostern_collector_query_duration_seconds_count{question=\"find\"} 1\n",
        "\npostern_collector_query_failures_total{question=\"find\"} 0\n",
        "\npostern_collector_store_up 1\n"}) {
    EXPECT_THAT(metrics, HasSubstr(line));
  }
  EXPECT_THAT(metrics, Not(HasSubstr("_bytes_total 0\n")));
  EXPECT_THAT(metrics, Not(HasSubstr("store_bytes 0\n")));
  EXPECT_THAT(metrics, Not(HasSubstr("web1"))) << "a host's name is no business of everybody's";
}

TEST_F(CollectorMetricsTest, AnAddressThatAnotherHasStopsNothing) {
  CollectorConfig second = config_;
  second.run_dir = folder_ / "second";
  second.sqlite_path = folder_ / "second.db";
  const auto collector = Collector::Start(second);
  ASSERT_TRUE(collector.ok()) << collector.status();
  AgentStream agent(second.run_dir + "/ingest.sock");
  EXPECT_TRUE(agent.Greet("web1", 7));
  EXPECT_THAT(Metrics(), HasSubstr("postern_collector_ingest_streams 0\n")) << "of the first";
}

}  // namespace
}  // namespace postern::server
