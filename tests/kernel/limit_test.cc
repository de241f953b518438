// SPDX-License-Identifier: Apache-2.0
// Rules with a limit, and whom they and deny rules take for whom in user namespaces.
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/kernel/kernel_test.h"

namespace postern::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Pair;

constexpr char kAsMailer[] = "--uid=105";
constexpr char kAsWwwData[] = "--uid=33";

// What a limit has given is kept by the rule's name, over policies too: each test has
// its own sensor.
class LimitTest : public KernelTest {
 protected:
  // What each of so many uids of a user namespace that `maker` made came to.
  static std::vector<std::string> Subordinates(uint32_t maker, uint32_t first,
                                               std::vector<std::string> options = {}) {
    options.insert(options.begin(), Attack("subordinates"));
    options.insert(options.end(), {absl::StrCat(maker), absl::StrCat(first), "4", kInternet4,
                                   absl::StrCat(kWatchedPort)});
    std::vector<std::string> results;
    for (const Report& report : RunToEnd(options)) results.push_back(report.at("result"));
    return results;
  }
};

TEST_F(LimitTest, IsEachUsersOwnAndOutlivesAReload) {
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

TEST_F(LimitTest, GivesBackWithTime) {
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

TEST_F(LimitTest, InMonitorLetsThroughAndSaysSo) {
  policy::Rule rule = AllowAll();
  rule.limit = policy::Limit{.count = 1, .per = absl::Hours(1), .text = "1/h"};
  Monitor({rule});
  EXPECT_THAT(Connect({kAsMailer, "--count=2"}), ElementsAre("OK", "OK"));
  const Events& events = ReadEventsUntil([](const Events& all) { return all.size() == 2; });
  std::multiset<v1::Event::Verdict> verdicts;
  for (const v1::Event& event : events) verdicts.insert(event.verdict());
  EXPECT_THAT(verdicts, ElementsAre(v1::Event::ALLOWED, v1::Event::WOULD_DENY));
}

TEST_F(LimitTest, UsersSubordinateIdsAreTheUser) {
  EXPECT_THAT(Subordinates(kWwwData, 500000), Each("OK"));
  policy::Rule rule = AllowAll();
  rule.limit = policy::Limit{.count = 3, .per = absl::Hours(1), .text = "3/h"};
  Enforce({rule});
  EXPECT_THAT(Subordinates(kWwwData, 500000), ElementsAre("OK", "OK", "OK", "EPERM"));
  EXPECT_THAT(Subordinates(kWwwData, 510000), Each("EPERM"));
  EXPECT_THAT(Subordinates(kWwwData, 520000, {"--nested"}), Each("EPERM"));
  EXPECT_THAT(Connect({kAsWwwData}), ElementsAre("EPERM"));
  EXPECT_THAT(Connect({kAsMailer}), ElementsAre("OK"));
}

TEST_F(LimitTest, ContainerThatRootMadeIsOneUser) {
  policy::Rule rule = AllowAll();
  rule.limit = policy::Limit{.count = 3, .per = absl::Hours(1), .text = "3/h"};
  Enforce({rule});
  EXPECT_THAT(Subordinates(0, 500000), ElementsAre("OK", "OK", "OK", "EPERM"));
  EXPECT_THAT(Subordinates(0, 600000, {"--nested"}), ElementsAre("OK", "OK", "OK", "EPERM"));
  EXPECT_THAT(Connect({"--uid=0"}), ElementsAre("OK"));
}

TEST_F(LimitTest, DenyRuleForAUserHoldsForItsSubordinateIds) {
  policy::Rule deny = AllowAll();
  deny.name = "web";
  deny.users = {{.text = "33", .id = kWwwData}};
  deny.action = POSTERN_ACTION_DENY;
  Enforce({deny, AllowAll()});
  EXPECT_THAT(Subordinates(kWwwData, 500000), Each("EPERM"));
  EXPECT_THAT(Subordinates(kWwwData, 520000, {"--nested"}), Each("EPERM"));
  EXPECT_THAT(Subordinates(kMailer, 500000), Each("OK"));
  EXPECT_THAT(Subordinates(0, 500000), Each("OK"));
}

}  // namespace
}  // namespace postern::testing
