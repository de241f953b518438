// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/compiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "agent/policy/cidr.h"
#include "agent/policy/rule_set.h"

namespace postern::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Rule MakeRule(const std::string& name, postern_action action) {
  Rule rule;
  rule.name = name;
  rule.action = action;
  return rule;
}

absl::StatusOr<BinaryId> Identify(const std::string& path) {
  if (path == "/gone") return absl::NotFoundError("no such file");
  if (path == "/deep") return BinaryId{};
  return BinaryId{8, {1, path == "/a" || path == "/link-to-a" ? 1U : 2U}};
}

std::vector<int> Members(const postern_rule_set& set) {
  std::vector<int> members;
  for (int i = 0; i < POSTERN_RULES; ++i) {
    if (HasRule(set, static_cast<size_t>(i))) members.push_back(i);
  }
  return members;
}

std::vector<int> Entry(const CompiledPolicy& policy, uint32_t dimension, uint32_t value,
                       uint64_t path_low = 0) {
  for (const auto& [key, rules] : policy.index) {
    if (key.dimension == dimension && key.value == value && key.path.low == path_low) {
      return Members(rules);
    }
  }
  return {-1};
}

std::vector<int> Destination(const CompiledPolicy& policy, const std::string& cidr) {
  const Cidr wanted = ParseCidr(cidr).value();
  for (const auto& [prefix, rules] : policy.destinations) {
    if (prefix.bits == wanted.prefix.bits &&
        std::equal(prefix.address, prefix.address + 16, wanted.prefix.address)) {
      return Members(rules.named);
    }
  }
  return {-1};
}

TEST(CompilerTest, LimitIsKnownByItsRulesNameFromOneGenerationToTheNext) {
  Config config;
  config.rules = {MakeRule("one", POSTERN_ACTION_ALLOW), MakeRule("two", POSTERN_ACTION_ALLOW)};
  config.rules[1].limit = Limit{.count = 100, .per = absl::Hours(1), .text = "100/h"};
  const CompiledPolicy before = Compile(config, Identify).value();
  EXPECT_EQ(before.header.limit[0].interval, 0U);
  EXPECT_EQ(before.header.limit[1].interval, 36'000'000'000U);
  EXPECT_EQ(before.header.limit[1].burst, 3'600'000'000'000U);
  std::swap(config.rules[0], config.rules[1]);
  EXPECT_EQ(Compile(config, Identify)->header.limit[0].rule, before.header.limit[1].rule);
}

TEST(CompilerTest, HeaderHoldsWhatIsCommonToAllRules) {
  Config config;
  config.mode = Mode::kEnforce;
  config.deny_errno = EHOSTUNREACH;
  config.ports = {25, 2525};
  config.rules = {MakeRule("one", POSTERN_ACTION_ALLOW), MakeRule("two", POSTERN_ACTION_DENY)};
  const CompiledPolicy policy = Compile(config, Identify).value();
  EXPECT_EQ(policy.header.generation, 0U);
  EXPECT_EQ(policy.header.rules, 2U);
  EXPECT_EQ(policy.header.enforce, 1U);
  EXPECT_EQ(policy.header.deny_errno, static_cast<uint32_t>(EHOSTUNREACH));
  EXPECT_EQ(policy.header.default_action, static_cast<uint32_t>(POSTERN_ACTION_DENY));
  EXPECT_EQ(policy.header.dimensions, 0U);
  EXPECT_EQ(policy.header.action[0], POSTERN_ACTION_ALLOW);
  EXPECT_EQ(policy.header.action[1], POSTERN_ACTION_DENY);
  EXPECT_THAT(Members(policy.header.deny_rules), ElementsAre(1));
  EXPECT_THAT(Members(policy.header.any_port), ElementsAre(0, 1));
  EXPECT_THAT(policy.ports, ElementsAre(25, 2525));
  EXPECT_THAT(policy.rule_names, ElementsAre("one", "two"));
  EXPECT_THAT(policy.index, IsEmpty());
}

TEST(CompilerTest, EntriesHoldTheRulesThatDoNotAskButForGroups) {
  Config config;
  config.rules = {MakeRule("named", POSTERN_ACTION_ALLOW), MakeRule("open", POSTERN_ACTION_DENY)};
  Rule& named = config.rules[0];
  named.users = {{"", 101, 0}};
  named.groups = {{"", 8, 0}};
  named.started_as = {{"", 0, 0}};
  named.ports = {{587, 0}};
  named.exes = {{"/a", 0}};
  const CompiledPolicy policy = Compile(config, Identify).value();
  EXPECT_THAT(Entry(policy, POSTERN_DIMENSION_USER, 101), ElementsAre(0, 1));
  EXPECT_THAT(Entry(policy, POSTERN_DIMENSION_GROUP, 8), ElementsAre(0));
  EXPECT_THAT(Entry(policy, POSTERN_DIMENSION_STARTED_AS, 0), ElementsAre(0, 1));
  EXPECT_THAT(Entry(policy, POSTERN_DIMENSION_PORT, 587), ElementsAre(0, 1));
  EXPECT_THAT(Entry(policy, POSTERN_DIMENSION_EXE, 8, 1), ElementsAre(0, 1));
  for (const postern_rule_set& any :
       {policy.header.any_user, policy.header.any_group, policy.header.any_started_as,
        policy.header.any_port, policy.header.any_exe}) {
    EXPECT_THAT(Members(any), ElementsAre(1));
  }
  EXPECT_EQ(policy.header.dimensions, 1U << POSTERN_DIMENSION_PORT | 1U << POSTERN_DIMENSION_USER |
                                          1U << POSTERN_DIMENSION_GROUP |
                                          1U << POSTERN_DIMENSION_EXE |
                                          1U << POSTERN_DIMENSION_STARTED_AS);
}

TEST(CompilerTest, TwoPathsOfOneFileShareAnEntry) {
  Config config;
  config.rules = {MakeRule("one", POSTERN_ACTION_ALLOW), MakeRule("two", POSTERN_ACTION_ALLOW)};
  config.rules[0].exes = {{"/a", 0}};
  config.rules[1].exes = {{"/link-to-a", 0}, {"/b", 0}};
  const CompiledPolicy policy = Compile(config, Identify).value();
  EXPECT_EQ(policy.index.size(), 2U);
  EXPECT_THAT(Entry(policy, POSTERN_DIMENSION_EXE, 8, 1), ElementsAre(0, 1));
  EXPECT_THAT(Entry(policy, POSTERN_DIMENSION_EXE, 8, 2), ElementsAre(1));
}

TEST(CompilerTest, PrefixHoldsTheRulesOfAllThatCoverIt) {
  Config config;
  config.rules = {MakeRule("wide", POSTERN_ACTION_DENY), MakeRule("narrow", POSTERN_ACTION_DENY),
                  MakeRule("open", POSTERN_ACTION_DENY), MakeRule("local", POSTERN_ACTION_DENY)};
  config.rules[0].destinations = {ParseCidr("10.0.0.0/8").value()};
  config.rules[1].destinations = {ParseCidr("10.1.0.0/16").value(), ParseCidr("192.0.2.1").value()};
  config.rules[3].destination_local = true;
  const CompiledPolicy policy = Compile(config, Identify).value();
  EXPECT_THAT(Destination(policy, "10.0.0.0/8"), ElementsAre(0, 2));
  EXPECT_THAT(Destination(policy, "10.1.0.0/16"), ElementsAre(0, 1, 2));
  EXPECT_THAT(Destination(policy, "192.0.2.1/32"), ElementsAre(1, 2));
  EXPECT_THAT(Members(policy.header.any_destination), ElementsAre(2));
  EXPECT_THAT(Members(policy.header.local_destination), ElementsAre(3));
}

TEST(CompilerTest, AllOfIpv6IsNothingOfIpv4) {
  Config config;
  config.rules = {MakeRule("six", POSTERN_ACTION_ALLOW), MakeRule("ten", POSTERN_ACTION_ALLOW)};
  config.rules[0].destinations = {ParseCidr("::/0").value()};
  config.rules[1].destinations = {ParseCidr("10.0.0.0/8").value()};
  const CompiledPolicy policy = Compile(config, Identify).value();
  EXPECT_THAT(Destination(policy, "::/0"), ElementsAre(0));
  EXPECT_THAT(Destination(policy, "0.0.0.0/0"), IsEmpty());
  EXPECT_THAT(Destination(policy, "10.0.0.0/8"), ElementsAre(1));
}

TEST(CompilerTest, AllowRuleOnIdentityStaysOutOfNamespacesUnlessItSays) {
  Config config;
  for (const char* name :
       {"allow-who", "allow-all", "deny-who", "boxed", "outside", "any-ns", "initial"}) {
    config.rules.push_back(MakeRule(name, POSTERN_ACTION_ALLOW));
  }
  for (const size_t named : {0, 2, 3, 5}) config.rules[named].users = {{"", 1, 0}};
  config.rules[2].action = POSTERN_ACTION_DENY;
  config.rules[3].container = true;
  config.rules[4].container = false;
  config.rules[5].user_namespace = UserNamespace::kAny;
  config.rules[6].user_namespace = UserNamespace::kInitial;
  const CompiledPolicy policy = Compile(config, Identify).value();
  EXPECT_THAT(Members(policy.header.in_container), ElementsAre(1, 2, 3, 6));
  EXPECT_THAT(Members(policy.header.outside_container), ElementsAre(0, 1, 2, 4, 5, 6));
  EXPECT_THAT(Members(policy.header.in_user_namespace), ElementsAre(1, 2, 4, 5));
}

TEST(CompilerTest, BinaryThatCannotBeIdentifiedIsToldByItsLine) {
  Config config;
  config.file = "agent.yaml";
  config.rules = {MakeRule("r", POSTERN_ACTION_ALLOW)};
  config.rules[0].exes = {{"/gone", 7}};
  EXPECT_EQ(Compile(config, Identify).status(),
            absl::NotFoundError("agent.yaml:7: rule r: binary '/gone' cannot be identified: no "
                                "such file"));
  config.rules[0].exes = {{"/deep", 0}};
  EXPECT_THAT(std::string(Compile(config, Identify).status().message()),
              HasSubstr("agent.yaml: rule r: binary '/deep' lies too deep"));
}

TEST(CompilerTest, TheLastRuleThatFitsHasItsBit) {
  Config config;
  for (int i = 0; i < POSTERN_RULES; ++i) {
    config.rules.push_back(MakeRule("r", POSTERN_ACTION_DENY));
  }
  EXPECT_EQ(Members(Compile(config, Identify)->header.deny_rules).size(), 256U);
  config.rules.push_back(MakeRule("more", POSTERN_ACTION_DENY));
  EXPECT_EQ(Compile(config, Identify).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace postern::policy
