// SPDX-License-Identifier: Apache-2.0
// What happens while the agent or the collector is away: nothing passes that
// should not, and nothing is lost or told twice.
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

using nlohmann::json;

class Survival : public Lab {
 protected:
  std::vector<int64_t> Rogues(int count) {
    std::vector<int64_t> pids;
    for (int i = 0; i < count; ++i) {
      const Attempt attempt = Rogue();
      EXPECT_EQ(attempt.result, "EPERM");
      pids.push_back(attempt.pid);
    }
    return pids;
  }

  void Deliver(const std::string& token) {
    postfix().Send(token);
    EXPECT_TRUE(Eventually([&] { return internet().Received(token) == 1; })) << postfix().Log();
  }

  // Each is in the answers, once, and nothing is said to be missing.
  void ExpectEachOnce(const std::vector<int64_t>& pids) {
    for (const int64_t pid : pids) {
      const json event = postern().AwaitOne(pid);
      EXPECT_EQ(event.value("verdict", ""), "denied") << event;
      EXPECT_EQ(event.value("identity", ""), "exec") << event;
      EXPECT_EQ(event.value("exe", ""), Program("connect")) << event;
    }
    const Answer answer = postern().Query();
    std::set<std::pair<std::string, uint64_t>> seen;
    for (const json& event : answer.Connects()) {
      const uint64_t seq = event.value("seq", uint64_t{0});
      EXPECT_TRUE(seen.emplace(event.value("boot", ""), seq).second) << "twice: " << event;
    }
    postern().ExpectComplete();
  }
};

TEST_F(Survival, AgentKilledInEnforceLeavesNoGap) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  StartPostfix();
  std::vector<int64_t> pids = Rogues(3);
  postern().KillAgent();

  const std::vector<int64_t> between = Rogues(5);
  pids.insert(pids.end(), between.begin(), between.end());
  Deliver("token-without-an-agent");
  // And a Postfix that starts anew while nobody watches is known all the same.
  postfix().Command("reload");
  Deliver("token-after-reload-without-an-agent");

  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  const std::vector<int64_t> after = Rogues(2);
  pids.insert(pids.end(), after.begin(), after.end());
  Deliver("token-with-the-agent-again");
  ExpectEachOnce(pids);
  const std::vector<json> mails =
      postern().Await([this](const json& event) { return event.value("exe", "") == smtp(); }, 2);
  for (const json& event : mails) EXPECT_EQ(event.value("verdict", ""), "allowed") << event;
}

TEST_F(Survival, AgentKilledAgainAndAgainUnderLoadTellsEachEventOnce) {
  constexpr size_t kRounds = 5;
  constexpr size_t kPerRound = 300;
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  std::vector<int64_t> pids;
  for (size_t round = 0; round < kRounds; ++round) {
    auto swarm =
        Start({Program("swarm"), std::to_string(kPerRound), std::to_string(UidOf("www-data")),
               Program("swarm_child"), internet().v4(), "25"});
    // When the first are stored, and most are not.
    const size_t stored = std::filesystem::file_size(postern().event_log());
    ASSERT_TRUE(
        Eventually([&] { return std::filesystem::file_size(postern().event_log()) > stored; }));
    postern().KillAgent();
    ASSERT_EQ(swarm->Wait().value_or(-1), 0) << swarm->Error();
    for (const Attempt& attempt : ParseAttempts(swarm->Output())) pids.push_back(attempt.pid);
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  }
  ASSERT_EQ(pids.size(), kRounds * kPerRound);
  const std::vector<json> events = postern().Await(
      [this](const json& event) { return event.value("exe", "") == Program("swarm_child"); },
      pids.size());
  EXPECT_EQ(events.size(), pids.size());
  std::set<int64_t> found;
  for (const json& event : events) found.insert(event.value("pid", int64_t{-1}));
  EXPECT_EQ(found, std::set<int64_t>(pids.begin(), pids.end()));
  postern().ExpectComplete();
}

TEST_F(Survival, StopKeepsEnforcementAndIdentities) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  StartPostfix();
  Deliver("token-before-the-stop");
  EXPECT_EQ(postern().StopAgent(), 0);
  const std::vector<int64_t> between = Rogues(3);
  Deliver("token-in-between");
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  // smtp(8) is the one from before: its identity was carried over, not seeded anew.
  Deliver("token-after-the-restart");
  ExpectEachOnce(between);
}

TEST_F(Survival, StopReleasesWhereTheOwnerChoseSo) {
  AgentConfig config;
  config.mode = "enforce";
  config.rules = DefaultRules(smtp());
  config.extra = "on_stop: release\n";
  postern().Configure(config);
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  EXPECT_EQ(Rogue().result, "EPERM");
  postern().ExpectComplete();
  EXPECT_EQ(postern().StopAgent(), 0);
  EXPECT_EQ(Rogue().result, "OK");
  // And the record says that it does not know of that one.
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  Answer answer;
  EXPECT_TRUE(Eventually([&] {
    answer = postern().QueryRecord();
    const json gaps = answer.Completeness().value("gaps", json::array());
    return std::any_of(gaps.begin(), gaps.end(),
                       [](const json& gap) { return gap.value("reason", "") == "not_watched"; });
  })) << answer.Completeness();
  EXPECT_EQ(answer.exit_code, 3);
}

TEST_F(Survival, CollectorThatIsDownAtStartGetsWhatItMissed) {
  AgentConfig config;
  config.mode = "enforce";
  config.rules = DefaultRules(smtp());
  postern().Configure(config);
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  const std::vector<int64_t> pids = Rogues(5);
  ASSERT_TRUE(Eventually([&] { return postern().Status()["spool"].value("events", 0) >= 5; }))
      << postern().Status();
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
  ExpectEachOnce(pids);
}

TEST_F(Survival, CollectorThatGoesAwayLosesAndRepeatsNothing) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  std::vector<int64_t> pids = Rogues(3);
  postern().AwaitPid(pids.back());
  EXPECT_EQ(postern().StopCollector(), 0);
  const std::vector<int64_t> between = Rogues(3);
  pids.insert(pids.end(), between.begin(), between.end());
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
  const std::vector<int64_t> after = Rogues(3);
  pids.insert(pids.end(), after.begin(), after.end());
  ExpectEachOnce(pids);
}

}  // namespace
}  // namespace postern::lab
