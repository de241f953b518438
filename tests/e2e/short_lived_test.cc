// SPDX-License-Identifier: Apache-2.0
// Processes that are gone before anybody can look, too many to look at, or not
// what their number says.
#include <filesystem>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

using nlohmann::json;

class ShortLived : public Lab {
 protected:
  std::string www_data() const { return std::to_string(UidOf("www-data")); }
};

TEST_F(ShortLived, ThousandProcessesAtOnceAreEachNamedRightly) {
  constexpr size_t kCount = 1000;
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const std::vector<Attempt> attempts =
      Attack({Program("swarm"), std::to_string(kCount), www_data(), Program("swarm_child"),
              internet().v4(), "25"});
  ASSERT_EQ(attempts.size(), kCount);
  const std::vector<json> events = postern().Await(
      [this](const json& event) { return event.value("exe", "") == Program("swarm_child"); },
      kCount);
  EXPECT_EQ(events.size(), kCount);
  std::map<int64_t, json> by_pid;
  std::set<uint64_t> sequences;
  for (const json& event : events) {
    by_pid[event.value("pid", int64_t{-1})] = event;
    sequences.insert(event.value("seq", uint64_t{0}));
  }
  EXPECT_EQ(sequences.size(), kCount);
  for (const Attempt& attempt : attempts) {
    EXPECT_EQ(attempt.result, "EPERM");
    ASSERT_EQ(by_pid.count(attempt.pid), 1u) << "process " << attempt.pid << " is missing";
    const json& event = by_pid[attempt.pid];
    ASSERT_EQ(event.value("args", json()),
              json({Program("swarm_child"), absl::StrCat("index=", attempt.fields.at("index")),
                    internet().v4(), "25"}))
        << event;
    ASSERT_EQ(event.value("verdict", ""), "denied") << event;
    ASSERT_EQ(event.value("user", ""), "www-data") << event;
    ASSERT_EQ(event.value("repeats", 0), 0) << event;
  }
}

TEST_F(ShortLived, ThreadWhoseLeaderHasExitedIsNamed) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const Attempt attempt = AttackOnce({Program("connect"), "--who=thread", internet().v4(), "25"},
                                     {.uid = UidOf("www-data")});
  EXPECT_EQ(attempt.result, "EPERM");
  EXPECT_NE(attempt.fields.at("tid"), attempt.fields.at("pid"));
  const json event = postern().AwaitOne(attempt.pid);
  EXPECT_EQ(event.value("exe", ""), Program("connect")) << event;
  EXPECT_EQ(event.value("identity", ""), "exec") << event;
  EXPECT_EQ(event.value("args", json()),
            json({Program("connect"), "--who=thread", internet().v4(), "25"}))
      << event;
}

TEST_F(ShortLived, ReusedPidIsNotTakenForTheOneBefore) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const std::string second = root() + "/second";
  std::filesystem::copy_file(Program("connect"), second);
  for (const auto& [program, exe] :
       std::map<std::string, std::string>{{second, second}, {"-", Program("pid_reuse")}}) {
    SCOPED_TRACE(program);
    const std::vector<Attempt> attempts = Attack(
        {Program("pid_reuse"), www_data(), Program("connect"), program, internet().v4(), "25"});
    ASSERT_EQ(attempts.size(), 2u);
    ASSERT_EQ(attempts[0].pid, attempts[1].pid);
    const std::vector<json> events = postern().AwaitPid(attempts[0].pid, 2);
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].value("exe", ""), Program("connect")) << events[0];
    EXPECT_EQ(events[1].value("exe", ""), exe) << events[1];
    EXPECT_EQ(events[1].value("identity", ""), "exec") << events[1];
  }
}

TEST_F(ShortLived, EveryAttemptOfOneThatHammersIsCounted) {
  constexpr int kCount = 20000;
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  // A binary of its own, to group by.
  const std::string hammer = root() + "/hammer";
  std::filesystem::copy_file(Program("connect"), hammer);
  const Attempt tally =
      AttackOnce({hammer, "--quiet", absl::StrCat("--count=", kCount), internet().v4(), "25"},
                 {.uid = UidOf("www-data")});
  EXPECT_EQ(tally.result, "EPERM");
  EXPECT_EQ(tally.fields.at("attempts"), std::to_string(kCount));
  json group;
  EXPECT_TRUE(Eventually([&] {
    const Answer answer = postern().Query({"--exe", hammer, "--group-by", "exe,verdict"});
    for (const json& line : answer.lines) {
      if (line.value("kind", "") == "group") group = line;
    }
    return group.is_object() && group.value("count", 0) >= kCount;
  })) << group;
  EXPECT_EQ(group.value("count", 0), kCount) << group;
  EXPECT_EQ(group.value("verdict", ""), "denied") << group;
  // Told by few events, not by as many as there were attempts.
  EXPECT_LT(postern().Query({"--exe", hammer}).Connects().size(), 1000u);
}

// Each way in which a program can reach a TCP connect.
class Way : public Lab, public testing::WithParamInterface<const char*> {};

TEST_P(Way, IsJudgedAndRecorded) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const Attempt attempt = AttackOnce({Program("connect"), GetParam(), internet().v4(), "587"},
                                     {.uid = UidOf("www-data")});
  EXPECT_EQ(attempt.result, "EPERM");
  const json event = postern().AwaitOne(attempt.pid);
  EXPECT_EQ(event.value("verdict", ""), "denied") << event;
  EXPECT_EQ(event.value("exe", ""), Program("connect")) << event;
  EXPECT_EQ(event.value("family", ""), "ipv4") << event;
  EXPECT_EQ(event.value("destination", ""), internet().v4()) << event;
  EXPECT_EQ(event.value("port", 0), 587) << event;
}

INSTANTIATE_TEST_SUITE_P(Connect, Way,
                         testing::Values("--nonblock", "--mapped", "--mptcp", "--way=fastopen_send",
                                         "--way=fastopen_connect", "--way=io_uring", "--way=sqpoll",
                                         "--who=double_fork", "--each=fork"),
                         [](const auto& instance) {
                           std::string name;
                           for (const char c : std::string(instance.param)) {
                             if (isalnum(c) != 0) name.push_back(c);
                           }
                           return name;
                         });

TEST_F(ShortLived, ConnectOverIpv6IsJudgedAndRecorded) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const Attempt attempt =
      AttackOnce({Program("connect"), internet().v6(), "465"}, {.uid = UidOf("www-data")});
  EXPECT_EQ(attempt.result, "EPERM");
  const json event = postern().AwaitOne(attempt.pid);
  EXPECT_EQ(event.value("family", ""), "ipv6") << event;
  EXPECT_EQ(event.value("destination", ""), internet().v6()) << event;
  EXPECT_EQ(event.value("port", 0), 465) << event;
}

}  // namespace
}  // namespace postern::lab
