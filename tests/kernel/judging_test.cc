// SPDX-License-Identifier: Apache-2.0
// Who passes and who does not, by every field of a rule. ways_test.cc has the ways around.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/policy/cidr.h"
#include "agent/policy/unit_path.h"
#include "agent/sensor/cgroup_root.h"
#include "common/address.h"
#include "tests/kernel/kernel_test.h"

namespace postern::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr char kAsMailer[] = "--uid=105";
constexpr char kAsWwwData[] = "--uid=33";

class JudgingTest : public KernelTest {
 protected:
  JudgingTest() : KernelTest(SensorOf::kSuite) {}

  // A copy of the attack program `connect` that the policy does not know.
  // With `link` another name of one that was made before: as good, and not as large.
  std::string CopyOfConnect(const std::string& name, bool link = false) {
    const std::string copy = folder_ + "/" + name;
    if (link) {
      std::filesystem::create_hard_link(first_copy_, copy);
    } else {
      std::filesystem::copy_file(Attack("connect"), copy);
      first_copy_ = copy;
    }
    return copy;
  }

  std::string first_copy_;

  std::string ResultOf(std::vector<std::string> argv) {
    const std::vector<Report> reports = RunToEnd(std::move(argv));
    return reports.empty() ? "" : reports.back().at("result");
  }

  std::string ResultOfRunning(const std::string& exe) {
    return ResultOf({exe, kAsMailer, kInternet4, absl::StrCat(kWatchedPort)});
  }
};

TEST_F(JudgingTest, AllowedUserWithAllowedBinaryPasses) {
  Enforce({Allow(kMailer, Attack("connect"))});
  EXPECT_THAT(Connect({kAsMailer}), ElementsAre("OK"));
  const v1::Event event = ReadEventsUntil([](const Events& e) { return !e.empty(); }).front();
  EXPECT_EQ(event.verdict(), v1::Event::ALLOWED);
  EXPECT_EQ(event.identity(), v1::Event::EXEC);
}

TEST_F(JudgingTest, AnotherUserWithAllowedBinaryIsDenied) {
  Enforce({Allow(kMailer, Attack("connect"))});
  EXPECT_THAT(Connect({kAsWwwData}), ElementsAre("EPERM"));
}

TEST_F(JudgingTest, EffectiveUserAloneDoesNotPassAnAllowRule) {
  Enforce({Allow(kMailer, Attack("connect"))});
  EXPECT_THAT(Connect({"--uid=33", "--euid=105"}), ElementsAre("EPERM"));
  EXPECT_THAT(Connect({"--uid=105", "--euid=33"}), ElementsAre("EPERM"));
}

TEST_F(JudgingTest, EitherUserMeetsADenyRule) {
  policy::Rule deny;
  deny.name = "web";
  deny.users = {{.text = "33", .id = kWwwData}};
  deny.action = POSTERN_ACTION_DENY;
  Enforce({deny, AllowAll()});
  EXPECT_THAT(Connect({"--uid=33", "--euid=105"}), ElementsAre("EPERM"));
  EXPECT_THAT(Connect({"--uid=105", "--euid=33"}), ElementsAre("EPERM"));
  EXPECT_THAT(Connect({kAsMailer}), ElementsAre("OK"));
}

TEST_F(JudgingTest, ExclusionsTakeAwayWhatTheRuleWouldMatch) {
  policy::Rule rule = AllowAll();
  rule.excluded.users = {{.text = "33", .id = kWwwData}};
  rule.excluded.groups = {{.text = "8", .id = 8}};
  rule.excluded.exes = {{.path = CopyOfConnect("bot")}};
  Enforce({rule});
  EXPECT_THAT(Connect({kAsMailer}), ElementsAre("OK"));
  EXPECT_THAT(Connect({kAsWwwData}), ElementsAre("EPERM"));
  EXPECT_THAT(Connect({"--uid=105", "--euid=33"}), ElementsAre("EPERM"));
  EXPECT_THAT(Connect({kAsMailer, "--gid=8"}), ElementsAre("EPERM"));
  EXPECT_THAT(Connect({kAsMailer, "--groups=4,8"}), ElementsAre("EPERM"));
  EXPECT_THAT(Connect({kAsMailer, "--groups=4,7"}), ElementsAre("OK"));
  EXPECT_EQ(ResultOfRunning(folder_ + "/bot"), "EPERM");
}

TEST_F(JudgingTest, WhoMayBeExcludedIsNotAllowed) {
  UseOwnSensor();
  policy::Rule rule = AllowAll();
  rule.excluded.exes = {{.path = Attack("swarm_child")}};
  Command early(ConnectLine({kAsMailer, "--wait"}));
  early.ReadReport();
  Enforce({rule});
  EXPECT_THAT(Connect({kAsMailer}), ElementsAre("OK"));
  early.WriteLine("");
  EXPECT_EQ(early.Finish().back().at("result"), "EPERM");
}

TEST_F(JudgingTest, ExcludedDestinationsStayExcludedWhateverNamesThem) {
  policy::Rule rule = AllowAll();
  rule.destinations = {policy::ParseCidr("198.51.0.0/16").value()};
  rule.destination_local = true;
  rule.excluded.destinations = {policy::ParseCidr("198.51.100.0/24").value()};
  Enforce({rule});
  EXPECT_THAT(Connect({}), ElementsAre("EPERM"));
  const std::vector<Address> own = {ParseAddress(kInternet4).value()};
  EXPECT_TRUE(sensor_->SetLocalAddresses(own).ok());
  EXPECT_THAT(Connect({}), ElementsAre("EPERM"));
  rule.excluded = {};
  Enforce({rule});
  EXPECT_THAT(Connect({}), ElementsAre("OK"));
  rule.excluded.destination_local = true;
  Enforce({rule});
  EXPECT_THAT(Connect({}), ElementsAre("EPERM"));
}

// What a host of many customers may have in one policy.
TEST_F(JudgingTest, AThousandUsersAndBinariesAndTenThousandNetworksAreJudgedBy) {
  constexpr uint32_t kUsers = 1000, kNetworks = 10000, kRules = 250;
  std::vector<policy::Rule> rules(kRules, AllowAll());
  for (uint32_t i = 0; i < kRules; ++i) rules[i].name = absl::StrCat("r", i);
  for (uint32_t i = 0; i < kUsers; ++i) {
    const std::string binary = CopyOfConnect(absl::StrCat("binary", i), /*link=*/i > 0);
    rules[i % kRules].users.push_back({.text = "", .id = 20000 + i});
    rules[i % kRules].exes.push_back({.path = binary});
  }
  for (uint32_t i = 0; i < kNetworks; ++i) {
    rules[i % kRules].destinations.push_back(
        policy::ParseCidr(absl::StrCat("198.18.", i / 256, ".", i % 256)).value());
  }
  rlimit files = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit few = {.rlim_cur = 256, .rlim_max = files.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  Enforce(rules);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  const auto result = [&](uint32_t user, uint32_t binary, uint32_t network) {
    return ResultOf({absl::StrCat(folder_, "/binary", binary), absl::StrCat("--uid=", 20000 + user),
                     "--nonblock", absl::StrCat("198.18.", network / 256, ".", network % 256),
                     absl::StrCat(kWatchedPort)});
  };
  for (const uint32_t rule : {0u, 123u, kRules - 1}) {
    EXPECT_NE(result(rule, rule, rule), "EPERM") << rule;
    EXPECT_NE(result(750 + rule, 500 + rule, 9750 + rule), "EPERM") << rule;
    EXPECT_EQ(result(rule, (rule + 1) % kRules, rule), "EPERM") << rule;
    EXPECT_EQ(result(rule + 1, rule, rule), "EPERM") << rule;
    EXPECT_EQ(result(rule, rule, rule + 1), "EPERM") << rule;
  }
  // Each reload is a whole generation.
  Enforce({});
  EXPECT_EQ(result(0, 0, 0), "EPERM");
}

class UnitTest : public JudgingTest {
 protected:
  void SetUp() override {
    JudgingTest::SetUp();
    const absl::StatusOr<std::string> root = sensor::FindCgroupRoot();
    ASSERT_TRUE(root.ok()) << root.status();
    name_ = absl::StrCat("/postern-test-", getpid());
    folder_of_unit_ = *root + name_;
    for (const char* below : {"", "/mail.service", "/mail.service/own", "/customer"}) {
      ASSERT_TRUE(std::filesystem::create_directory(folder_of_unit_ + below)) << below;
    }
    // What one may call a cgroup that was delegated to it.
    ASSERT_TRUE(std::filesystem::create_directories(folder_of_unit_ + "/customer" + name_ +
                                                    "/mail.service"));
  }
  void TearDown() override {
    JudgingTest::TearDown();
    std::vector<std::filesystem::path> folders = {folder_of_unit_};
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_of_unit_)) {
      if (entry.is_directory()) folders.push_back(entry.path());
    }
    for (auto it = folders.rbegin(); it != folders.rend(); ++it) rmdir(it->c_str());
  }

  std::string ResultIn(const std::string& unit) {
    return Connect({absl::StrCat("--cgroup=", folder_of_unit_, unit), kAsMailer}).back();
  }

  std::string name_;  // path of the test's cgroup
  std::string folder_of_unit_;
};

TEST_F(UnitTest, UnitIsItsWholePathAndNotWhatLiesBelow) {
  policy::Rule rule = AllowAll();
  rule.units = {policy::ParseUnitPath(name_ + "/mail.service").value()};
  Enforce({rule});
  EXPECT_EQ(ResultIn("/mail.service"), "OK");
  EXPECT_EQ(ResultIn("/mail.service/own"), "EPERM");
  EXPECT_EQ(ResultIn("/customer"), "EPERM");
  EXPECT_EQ(ResultIn("/customer" + name_ + "/mail.service"), "EPERM");
  EXPECT_THAT(Connect({kAsMailer}), ElementsAre("EPERM"));
}

TEST_F(UnitTest, BeginningOfAPathIsEverythingThatBeginsSo) {
  policy::Rule rule = AllowAll();
  rule.units = {policy::ParseUnitPath(name_ + "/mail*").value()};
  rule.excluded.units = {policy::ParseUnitPath(name_ + "/mail.service/own").value()};
  Enforce({rule});
  EXPECT_EQ(ResultIn("/mail.service"), "OK");
  EXPECT_EQ(ResultIn("/mail.service/own"), "EPERM");
  EXPECT_EQ(ResultIn(""), "EPERM");
  rule.excluded = {};
  Enforce({rule});
  EXPECT_EQ(ResultIn("/mail.service/own"), "OK");
}

TEST_F(UnitTest, UnitWhosePathIsTooLongIsInNone) {
  const std::string deep = absl::StrCat("/", std::string(200, 'd'), "/", std::string(200, 'e'));
  ASSERT_TRUE(std::filesystem::create_directories(folder_of_unit_ + deep));
  policy::Rule rule = AllowAll();
  rule.units = {policy::ParseUnitPath(name_ + "*").value()};
  Enforce({rule});
  EXPECT_EQ(ResultIn(""), "OK");
  EXPECT_EQ(ResultIn(deep), "EPERM");
  rule.units = {};
  rule.excluded.units = {policy::ParseUnitPath(name_ + "/customer").value()};
  Enforce({rule});
  EXPECT_EQ(ResultIn(""), "OK");
  EXPECT_EQ(ResultIn(deep), "EPERM");
}

TEST_F(JudgingTest, LimitIsEachUsersOwnAndOutlivesAReload) {
  policy::Rule rule = AllowAll();
  rule.limit = policy::Limit{.count = 3, .per = absl::Hours(1), .text = "3/h"};
  Enforce({rule});
  // The same destination each time, so that all but the first are coalesced.
  EXPECT_THAT(Connect({kAsMailer, "--count=4"}), ElementsAre("OK", "OK", "OK", "EPERM"));
  EXPECT_THAT(Connect({kAsWwwData, "--count=4"}), ElementsAre("OK", "OK", "OK", "EPERM"));
  Enforce({rule});
  EXPECT_THAT(Connect({kAsMailer}), ElementsAre("EPERM"));
  rule.name = "another";
  Enforce({rule});
  EXPECT_THAT(Connect({kAsMailer}), ElementsAre("OK"));
  ReadEventsUntil([this](const Events&) { return Attempts() == 10; });
  std::map<v1::Event::Verdict, uint64_t> attempts;
  for (const v1::Event& event : ReadEvents()) attempts[event.verdict()] += event.repeats() + 1;
  EXPECT_THAT(attempts, ElementsAre(Pair(v1::Event::ALLOWED, 7), Pair(v1::Event::OVER_LIMIT, 3)));
}

TEST_F(JudgingTest, LimitGivesBackWithTime) {
  UseOwnSensor();
  policy::Rule rule = AllowAll();
  rule.limit = policy::Limit{.count = 20, .per = absl::Seconds(1), .text = "20/s"};
  Enforce({rule});
  EXPECT_THAT(Connect({kAsMailer, "--count=20"}), Each("OK"));
  // Faster than one in 50 ms, and still some get through once the limit is used up.
  bool used_up = false, given_back = false;
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (!given_back && absl::Now() < deadline) {
    for (const std::string& result : Connect({kAsMailer, "--count=100"})) {
      given_back = given_back || (used_up && result == "OK");
      used_up = used_up || result == "EPERM";
    }
  }
  EXPECT_TRUE(used_up);
  EXPECT_TRUE(given_back);
}

TEST_F(JudgingTest, LimitInMonitorLetsThroughAndSaysSo) {
  policy::Rule rule = AllowAll();
  rule.limit = policy::Limit{.count = 1, .per = absl::Hours(1), .text = "1/h"};
  Monitor({rule});
  EXPECT_THAT(Connect({kAsMailer, "--count=2"}), ElementsAre("OK", "OK"));
  const Events& events = ReadEventsUntil([](const Events& all) { return all.size() == 2; });
  std::multiset<v1::Event::Verdict> verdicts;
  for (const v1::Event& event : events) verdicts.insert(event.verdict());
  EXPECT_THAT(verdicts, ElementsAre(v1::Event::ALLOWED, v1::Event::WOULD_DENY));
}

TEST_F(JudgingTest, AllowedBinaryReplacedByRenamePasses) {
  const std::string allowed = CopyOfConnect("allowed");
  Enforce({Allow(kMailer, allowed)});
  std::filesystem::rename(CopyOfConnect("newer"), allowed);
  EXPECT_EQ(ResultOfRunning(allowed), "OK");
}

TEST_F(JudgingTest, AllowedBinaryThatOthersCanWriteIsDenied) {
  const std::string allowed = CopyOfConnect("allowed");
  Enforce({Allow(kMailer, allowed)});
  ASSERT_EQ(chmod(allowed.c_str(), 0775), 0);
  EXPECT_EQ(ResultOfRunning(allowed), "EPERM");
  ASSERT_EQ(chmod(allowed.c_str(), 0755), 0);
  ASSERT_EQ(chown(allowed.c_str(), kMailer, 0), 0);
  EXPECT_EQ(ResultOfRunning(allowed), "EPERM");
}

TEST_F(JudgingTest, StartedAsIsTheUserAtExec) {
  policy::Rule rule = Allow(kMailer, Attack("connect"));
  rule.exes.push_back({.path = Attack("swarm_child")});
  rule.started_as = {{.text = "0", .id = 0}};
  Enforce({rule});
  // Root starts it and it changes to the mailer: what Postfix's master does.
  EXPECT_THAT(Connect({kAsMailer}), ElementsAre("OK"));
  // The mailer itself starts it: what a bot can do, with a preload.
  EXPECT_EQ(ResultOf({Attack("swarm"), "1", "105", Attack("swarm_child"), kInternet4,
                      absl::StrCat(kWatchedPort)}),
            "EPERM");
}

TEST_F(JudgingTest, PrimaryAndSupplementaryGroupsMatch) {
  policy::Rule rule = AllowAll();
  rule.groups = {{.text = "4242", .id = 4242}};
  Enforce({rule});
  EXPECT_THAT(Connect({"--uid=33", "--gid=33"}), ElementsAre("EPERM"));
  EXPECT_THAT(Connect({"--uid=33", "--gid=4242"}), ElementsAre("OK"));
  EXPECT_THAT(Connect({"--uid=33", "--gid=33", "--groups=7,4242,9999"}), ElementsAre("OK"));
  EXPECT_THAT(Connect({"--uid=33", "--gid=33", "--groups=7,9999"}), ElementsAre("EPERM"));
}

TEST_F(JudgingTest, ContainersAndUserNamespacesMatchOnlyWhereTheRuleSaysSo) {
  policy::Rule rule = Allow(kMailer, Attack("connect"));
  Enforce({rule});
  EXPECT_THAT(Connect({kAsMailer, "--container"}), ElementsAre("EPERM"));
  EXPECT_THAT(Connect({kAsMailer, "--userns"}), ElementsAre("EPERM"));
  rule.container = true;
  Enforce({rule});
  EXPECT_THAT(Connect({kAsMailer, "--container"}), ElementsAre("OK"));
  EXPECT_THAT(Connect({kAsMailer}), ElementsAre("EPERM"));
  rule.container = std::nullopt;
  rule.user_namespace = policy::UserNamespace::kAny;
  Enforce({rule});
  EXPECT_THAT(Connect({kAsMailer, "--userns"}), ElementsAre("OK"));
}

TEST_F(JudgingTest, LocalIsLoopbackAndTheHostsOwnAddresses) {
  policy::Rule local = AllowAll();
  local.destination_local = true;
  Enforce({local});
  const auto result = [&](const char* to) { return ResultOf(ConnectLine({kAsWwwData}, to)); };
  for (const char* to : {"127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::"}) {
    EXPECT_EQ(result(to), "OK") << to;
  }
  EXPECT_EQ(result(kInternet4), "EPERM");
  EXPECT_EQ(result(kInternet6), "EPERM");
  std::array<uint8_t, 16> own = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 25};
  ASSERT_TRUE(sensor_->SetLocalAddresses({own}).ok());
  EXPECT_EQ(result(kInternet4), "OK");
  ASSERT_TRUE(sensor_->SetLocalAddresses({}).ok());
  EXPECT_EQ(result(kInternet4), "EPERM");
}

TEST_F(JudgingTest, LongestPrefixTakesTheRulesOfAllThatCoverIt) {
  policy::Rule wide = AllowAll();
  policy::Cidr prefix;
  prefix.prefix.bits = 96 + 8;
  const uint8_t address[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 0, 0, 0};
  std::copy(std::begin(address), std::end(address), prefix.prefix.address);
  prefix.ipv4 = true;
  wide.destinations = {prefix};
  policy::Rule narrow = Allow(kMailer, Attack("connect"));
  prefix.prefix.bits = 128;
  const uint8_t host[4] = {198, 51, 100, 25};
  std::copy(std::begin(host), std::end(host), prefix.prefix.address + 12);
  narrow.destinations = {prefix};
  Enforce({narrow, wide});
  EXPECT_THAT(Connect({kAsWwwData}), ElementsAre("OK"));
  EXPECT_EQ(ResultOf(ConnectLine({kAsWwwData}, kInternet6)), "EPERM");
}

TEST_F(JudgingTest, MonitorLetsThroughAndRecordsWhatItWouldDeny) {
  Monitor({Allow(kMailer, Attack("connect"))});
  EXPECT_THAT(Connect({kAsWwwData}), ElementsAre("OK"));
  const v1::Event event = ReadEventsUntil([](const Events& e) { return !e.empty(); }).front();
  EXPECT_EQ(event.verdict(), v1::Event::WOULD_DENY);
  EXPECT_EQ(event.uid(), kWwwData);
}

TEST_F(JudgingTest, DenialShowsTheErrnoOfThePolicy) {
  config_.deny_errno = ECONNREFUSED;
  Enforce({});
  EXPECT_THAT(Connect({kAsWwwData}), ElementsAre("ECONNREFUSED"));
  config_.deny_errno = EHOSTUNREACH;
  Enforce({});
  EXPECT_THAT(Connect({kAsWwwData}), ElementsAre("EHOSTUNREACH"));
}

TEST_F(JudgingTest, OtherPortsAndDatagramsAreNotLookedAt) {
  Enforce({});
  EXPECT_EQ(ResultOf({Attack("connect"), kInternet4, absl::StrCat(kUnwatchedPort)}), "OK");
  EXPECT_THAT(Connect({"--udp"}), ElementsAre("OK"));
  // The kernel records in order: what came before this denial would be here too.
  EXPECT_THAT(Connect({}), ElementsAre("EPERM"));
  EXPECT_EQ(ReadEventsUntil([](const Events& e) { return !e.empty(); }).size(), 1u);
}

TEST_F(JudgingTest, PolicyIsSwitchedForProcessesThatAlreadyRun) {
  Enforce({AllowAll()});
  Command bot(ConnectLine({kAsWwwData, "--wait"}));
  bot.ReadReport();
  Enforce({});
  bot.WriteLine("");
  EXPECT_EQ(bot.Finish().back().at("result"), "EPERM");
  const v1::Event event = ReadEventsUntil([](const Events& e) { return !e.empty(); }).front();
  EXPECT_EQ(event.generation(), sensor_->generation());
}

TEST_F(JudgingTest, OldKernelsWithoutLoopsJudgeTheSame) {
  UseOwnSensor();
  options_.without_newer_helpers = true;
  config_.deny_errno = ECONNREFUSED;
  Enforce({Allow(kMailer, Attack("connect"))});
  EXPECT_THAT(Connect({kAsMailer}), ElementsAre("OK"));
  // No bpf_set_retval there: EPERM, whatever the policy says.
  EXPECT_THAT(Connect({kAsWwwData}), ElementsAre("EPERM"));
  EXPECT_EQ(EventOf({{"pid", absl::StrCat(ReadEvents().front().pid())}}).exe(), Attack("connect"));
}

}  // namespace
}  // namespace postern::testing
