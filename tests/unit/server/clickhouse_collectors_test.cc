// SPDX-License-Identifier: Apache-2.0
// Two collectors beside one ClickHouse, as processes; one of them is killed, and so is
// the server. A scripted agent goes from the one to the other.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/support/process.h"
#include "tests/unit/server/clickhouse_under_test.h"
#include "tests/unit/server/collector_fixture.h"

namespace postern::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string CollectorBinary() {
  return std::filesystem::canonical("/proc/self/exe").parent_path().parent_path() /
         "bin/postern-collector";
}

class CollectorsTest : public testing::Test {
 protected:
  struct One {
    std::string name;
    std::unique_ptr<support::Process> process;
  };

  void SetUp() override {
    absl::StatusOr<std::unique_ptr<support::ClickHouseServer>> server =
        support::ClickHouseServer::Start(folder_ / "clickhouse");
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    std::ofstream(folder_ / "password") << "pass word's\n";
    std::filesystem::permissions(folder_ / "password", std::filesystem::perms(0600));
    for (One& one : collectors_) Start(one);
  }

  std::string RunDir(const One& one) const { return folder_ / "run-" + one.name; }
  std::string Socket(const One& one) const { return RunDir(one) + "/ingest.sock"; }

  void Start(One& one) {
    const std::string config = folder_ / one.name + ".yaml";
    std::ofstream(config) << "run_dir: " << RunDir(one)
                          << "\nstore: clickhouse://postern@127.0.0.1:" << server_->http_port()
                          << "/postern\nstore_password_file: " << folder_ / "password"
                          << "\n";
    one.process = support::Process::Start({CollectorBinary(), "--config", config},
                                          {.look_up = false, .notify = true});
    const absl::Status ready = one.process->WaitReady();
    ASSERT_TRUE(ready.ok()) << ready;
  }

  // The agent's last stream may take a moment to be seen as gone.
  std::unique_ptr<AgentStream> Connect(const One& one) {
    for (const absl::Time deadline = absl::Now() + absl::Seconds(30); absl::Now() < deadline;) {
      auto agent = std::make_unique<AgentStream>(Socket(one));
      if (agent->Greet("web1", kEpoch)) return agent;
      agent->Finish();
    }
    return nullptr;
  }

  // Sends numbered events from where the collectors' mark is, a few a batch, until
  // `stop`; then the stream ends. The highest acknowledged position.
  uint64_t SendUntil(const One& one, const std::function<bool(uint64_t)>& stop) {
    uint64_t acknowledged = 0;
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (absl::Now() < deadline && !stop(acknowledged)) {
      AgentStream agent(Socket(one));
      const std::optional<v1::Welcome> welcome = agent.Greet("web1", kEpoch);
      if (!welcome) {
        codes_.push_back(agent.Finish().error_code());
        continue;
      }
      uint64_t next = welcome->marks(0).position() + 1;
      // Nothing that was acknowledged is asked for again.
      EXPECT_GT(next, acknowledged_);
      acknowledged = std::max(acknowledged, next - 1);
      while (!stop(acknowledged)) {
        std::vector<std::string> comms;
        for (uint64_t i = 0; i < 20; ++i) comms.push_back(std::to_string(next + i));
        const std::optional<uint64_t> mark = agent.SendBatch(kEpoch, next, comms);
        if (!mark) break;
        next = *mark + 1;
        acknowledged = acknowledged_ = *mark;
      }
      agent.Finish();
    }
    return acknowledged;
  }

  // Up to which position, whether acknowledged or not.
  uint64_t Stored() const {
    const std::string position = server_->Ask(
        absl::StrCat("SELECT max(position) FROM events WHERE epoch = ", kEpoch), "postern");
    uint64_t stored = 0;
    return absl::SimpleAtoi(position, &stored) ? stored : 0;
  }

  // How often each comm is found.
  std::map<std::string, int> Found(const One& one) {
    std::map<std::string, int> comms;
    grpc::ClientContext context;
    context.set_deadline(Deadline());
    auto stub = v1::Query::NewStub(grpc::CreateChannel("unix:" + RunDir(one) + "/query.sock",
                                                       grpc::InsecureChannelCredentials()));
    auto reader = stub->Find(&context, v1::FindRequest());
    v1::FindResponse response;
    while (reader->Read(&response)) {
      if (response.has_event()) ++comms[response.event().comm()];
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return comms;
  }
  void ExpectAllOnce(const One& one) {
    const std::map<std::string, int> found = Found(one);
    EXPECT_EQ(found.size(), acknowledged_);
    for (uint64_t i = 1; i <= acknowledged_; ++i) {
      const auto count = found.find(std::to_string(i));
      ASSERT_TRUE(count != found.end()) << i << " is lost";
      EXPECT_EQ(count->second, 1) << i;
    }
  }

  static constexpr uint64_t kEpoch = 77;
  TemporaryFolder folder_;
  std::unique_ptr<support::ClickHouseServer> server_;
  One collectors_[2] = {{"a", nullptr}, {"b", nullptr}};
  // By either.
  uint64_t acknowledged_ = 0;
  std::vector<grpc::StatusCode> codes_;
};

TEST_F(CollectorsTest, AgentWhoseCollectorIsKilledGoesOnAtTheOther) {
  One& a = collectors_[0];
  One& b = collectors_[1];
  for (int round = 0; round < 3; ++round) {
    uint64_t goal = acknowledged_ + 100;
    EXPECT_GE(SendUntil(a, [&](uint64_t position) { return position >= goal; }), goal);
    {
      const std::unique_ptr<AgentStream> agent = Connect(a);
      ASSERT_NE(agent, nullptr);
      std::vector<std::string> comms;
      for (uint64_t i = 1; i <= 50; ++i) comms.push_back(std::to_string(acknowledged_ + i));
      EXPECT_TRUE(agent->SendBatchOnly(kEpoch, acknowledged_ + 1, comms));
      // Between the insert and the acknowledgement, and at two other moments.
      if (round == 0) {
        EXPECT_TRUE(support::Eventually([&] { return Stored() > acknowledged_; }));
      } else if (round == 1) {
        EXPECT_TRUE(support::Eventually([&] { return Stored() >= acknowledged_; }));
      }
      a.process->Signal(SIGKILL);
      EXPECT_TRUE(a.process->Wait());
      agent->Cancel();
      agent->Finish();
    }
    // The lease of the one that died holds for a while, unless it is back before.
    if (round > 0) Start(a);
    codes_.clear();
    goal = acknowledged_ + 200;
    EXPECT_GE(SendUntil(b, [&](uint64_t position) { return position >= goal; }), goal);
    for (const grpc::StatusCode code : codes_) EXPECT_EQ(code, grpc::StatusCode::ALREADY_EXISTS);
    if (round == 0) Start(a);
    ExpectAllOnce(a);
  }
  ExpectAllOnce(b);
}

TEST_F(CollectorsTest, ServerThatIsKilledAndComesAgainIsFoundAgain) {
  One& a = collectors_[0];
  std::atomic<uint64_t> reached{0};
  std::atomic<bool> done{false};
  std::thread agent([&] {
    SendUntil(a, [&](uint64_t position) {
      reached = position;
      return done.load();
    });
  });
  const auto goes_on = [&] {
    const uint64_t before = reached;
    return support::Eventually([&] { return reached >= before + 200; });
  };
  EXPECT_TRUE(goes_on());
  server_->Kill();
  EXPECT_TRUE(server_->StartAgain().ok());
  EXPECT_TRUE(goes_on());
  done = true;
  agent.join();
  ExpectAllOnce(a);
  ExpectAllOnce(collectors_[1]);
  EXPECT_TRUE(a.process->Running());
}

TEST_F(CollectorsTest, StartWithoutTheServerSaysSoInALineAndGoesOn) {
  One& a = collectors_[0];
  a.process.reset();
  server_->Stop();
  Start(a);
  EXPECT_TRUE(support::Eventually([&] {
    return a.process->Error().find("agents keep them: cannot reach ClickHouse at ") !=
           std::string::npos;
  }));
  AgentStream agent(Socket(a));
  EXPECT_FALSE(agent.Greet("web1", kEpoch));
  EXPECT_EQ(agent.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  ASSERT_TRUE(server_->StartAgain().ok());
  EXPECT_GE(SendUntil(a, [&](uint64_t position) { return position >= 100; }), 100u);
  EXPECT_THAT(a.process->Error(), HasSubstr("events are stored again"));
  EXPECT_THAT(a.process->Error(), Not(HasSubstr("pass word")));
}

TEST_F(CollectorsTest, BackupIsTheServersOwnBusiness) {
  const support::Finished finished = support::RunToEnd(
      {CollectorBinary(), "--config", folder_ / "a.yaml", "--backup", folder_ / "copy"},
      {.look_up = false});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.error, HasSubstr("backed up by the server's own means"));
  EXPECT_EQ(std::count(finished.error.begin(), finished.error.end(), '\n'), 1);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "copy"));
}

TEST_F(CollectorsTest, PasswordThatEverybodyMayReadIsRefused) {
  std::filesystem::permissions(folder_ / "password", std::filesystem::perms(0644));
  collectors_[0].process.reset();
  const support::Finished finished =
      support::RunToEnd({CollectorBinary(), "--config", folder_ / "a.yaml"}, {.look_up = false});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.error, HasSubstr("chmod o="));
}

}  // namespace
}  // namespace postern::server
