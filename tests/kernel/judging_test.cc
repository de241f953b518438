// SPDX-License-Identifier: Apache-2.0
// Who passes and who does not, by every field of a rule. ways_test.cc has the ways around.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "agent/policy/cidr.h"
#include "common/address.h"
#include "tests/kernel/kernel_test.h"

namespace postern::testing {
namespace {

using ::testing::ElementsAre;

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
