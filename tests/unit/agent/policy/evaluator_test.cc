// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_join.h"
#include "agent/policy/compiler.h"
#include "agent/policy/explain.h"
#include "agent/policy/loader.h"
#include "agent/policy/shadow.h"
#include "tests/unit/agent/policy/fake_host.h"
#include "tests/unit/agent/policy/naive_judge.h"

namespace postern::policy {
namespace {

using ::testing::ElementsAre;

absl::StatusOr<BinaryId> Identify(const std::string& path) { return TestBinary(path); }

TEST(EvaluatorPropertyTest, CompiledFormJudgesAsTheRulesRead) {
  int decided_by_rule = 0;
  int redirected = 0;
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    World world(seed);
    const Config config = world.RandomConfig();
    const auto policy = Compile(config, Identify);
    ASSERT_TRUE(policy.ok()) << policy.status();
    const Evaluator evaluator(*policy);
    for (int i = 0; i < 40; ++i) {
      const Subject subject = world.RandomSubject();
      size_t expected = 0;
      while (expected < config.rules.size() && !NaivelyMatches(config.rules[expected], subject)) {
        ++expected;
      }
      const Evaluation got = evaluator.Evaluate(subject);
      if (expected == config.rules.size()) {
        ASSERT_EQ(got.rule, POSTERN_RULE_DEFAULT) << "seed " << seed << " subject " << i;
        ASSERT_EQ(got.action, config.default_action);
      } else {
        ++decided_by_rule;
        ASSERT_EQ(got.rule, expected) << "seed " << seed << " subject " << i;
        ASSERT_EQ(got.action, NaiveAction(config.rules[expected], subject));
        redirected += got.action == POSTERN_ACTION_REDIRECT;
      }
      ASSERT_EQ(got.obstacles.size(), expected);
      for (const Obstacle obstacle : got.obstacles) ASSERT_NE(obstacle, Obstacle::kNone);
      ASSERT_EQ(Explain(config, subject, {}, got).size(), expected + 1);
    }
  }
  // Otherwise the worlds are so made that nothing meets.
  EXPECT_GT(decided_by_rule, 40000);
  EXPECT_GT(redirected, 3000);
}

TEST(EvaluatorPropertyTest, WhatIsNotKnownLeavesTheTrueRuleAmongTheCandidates) {
  int certain = 0, open = 0;
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    World world(seed);
    const auto policy = Compile(world.RandomConfig(), Identify);
    ASSERT_TRUE(policy.ok()) << policy.status();
    const Evaluator evaluator(*policy);
    for (int i = 0; i < 40; ++i) {
      const Subject subject = world.RandomSubject();
      const Evaluation truth = evaluator.Evaluate(subject);
      // What is not known is something else here, and is not to be looked at.
      Subject seen = subject;
      const Subject other = world.RandomSubject();
      Unknown unknown;
      if ((unknown.users = world.Chance(10))) {
        seen.uid = other.uid;
        seen.euid = other.euid;
      }
      if ((unknown.groups = world.Chance(20))) seen.gids.resize(1);
      if ((unknown.exe = world.Chance(20))) {
        seen.binary = other.binary;
        seen.exe_trusted = other.exe_trusted;
      }
      if ((unknown.started_as = world.Chance(20))) seen.started_as = other.started_as;
      if ((unknown.script = world.Chance(20))) seen.script = other.script;
      if (unknown.exe && unknown.started_as && unknown.script) {
        seen.seen_at_exec = other.seen_at_exec;
      }
      if ((unknown.unit = world.Chance(20))) seen.unit = other.unit;
      if ((unknown.destination = world.Chance(10))) {
        seen.destination = other.destination;
        seen.destination_local = other.destination_local;
      }
      if ((unknown.destination_local = world.Chance(20))) {
        seen.destination_local = other.destination_local;
      }
      if ((unknown.network_namespace = world.Chance(20))) {
        seen.in_network_namespace = other.in_network_namespace;
      }
      const Candidates got = evaluator.EvaluateUnknown(seen, unknown);
      ASSERT_FALSE(got.rules.empty());
      bool found = false;
      for (const Candidates::Candidate& candidate : got.rules) {
        found = found || (candidate.rule == truth.rule && candidate.action == truth.action);
      }
      ASSERT_TRUE(found) << "seed " << seed << " subject " << i;
      if (got.rules.size() == 1) {
        ++certain;
      } else {
        ++open;
        ASSERT_FALSE(got.open.empty());
      }
    }
  }
  EXPECT_GT(certain, 40000);
  EXPECT_GT(open, 1000);
}

TEST(EvaluatorPropertyTest, WhereAllIsKnownThereIsOneCandidate) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    World world(seed);
    const auto policy = Compile(world.RandomConfig(), Identify);
    ASSERT_TRUE(policy.ok()) << policy.status();
    const Evaluator evaluator(*policy);
    for (int i = 0; i < 40; ++i) {
      const Subject subject = world.RandomSubject();
      const Candidates got = evaluator.EvaluateUnknown(subject, {});
      ASSERT_EQ(got.rules.size(), 1u);
      ASSERT_EQ(got.rules[0].rule, evaluator.Evaluate(subject).rule);
      ASSERT_TRUE(got.open.empty());
    }
  }
}

TEST(ShadowPropertyTest, WhatIsShadowedIsNeverReached) {
  int shadowed = 0;
  for (uint32_t seed = 0; seed < 60000; ++seed) {
    World world(seed);
    const Rule earlier = world.RandomRule(0);
    const Rule later = world.RandomRule(1);
    if (!Shadows(earlier, later, {25, 465, 587})) continue;
    ++shadowed;
    for (int i = 0; i < 60; ++i) {
      const Subject subject = world.RandomSubject();
      ASSERT_TRUE(NaivelyMatches(earlier, subject) || !NaivelyMatches(later, subject))
          << "seed " << seed << " subject " << i;
    }
  }
  EXPECT_GT(shadowed, 500);
}

TEST(ExclusionPropertyTest, RuleThatExcludesAllOfAFieldMatchesNothing) {
  int excluded = 0;
  for (uint32_t seed = 0; seed < 60000; ++seed) {
    World world(seed);
    const Rule rule = world.RandomRule(0);
    if (FieldExcludedWhole(rule, {25, 465, 587}).empty()) continue;
    ++excluded;
    for (int i = 0; i < 60; ++i) {
      ASSERT_FALSE(NaivelyMatches(rule, world.RandomSubject()))
          << "seed " << seed << " subject " << i;
    }
  }
  EXPECT_GT(excluded, 500);
}

// A host with the rules of the shipped file, and a few more.
class EvaluatorTest : public testing::Test {
 protected:
  void SetUp() override {
    LoadedConfig loaded = LoadConfig("agent.yaml", R"(rules:
  - {name: banned, user: 33, port: 465, action: deny}
  - {name: postfix, user: postfix, exe: /usr/lib/postfix/sbin/smtp, started_as: root, action: allow}
  - {name: local, destination: local, action: allow}
  - {name: mailers, group: mail, destination: 192.0.2.0/24, action: allow}
  - {name: boxed, user: 5000, container: true, action: allow}
)",
                                     FakeHost::WithPostfix());
    ASSERT_TRUE(loaded.ok()) << absl::StrJoin(loaded.Lines(), "\n");
    config_ = *loaded.config;
    const auto policy =
        Compile(config_, [](const std::string&) { return absl::StatusOr<BinaryId>(kSmtp); });
    ASSERT_TRUE(policy.ok());
    policy_ = *policy;
    smtp_.uid = smtp_.euid = 101;
    smtp_.gids = {101};
    smtp_.binary = kSmtp;
    smtp_.started_as = 0;
    smtp_.destination = ParseAddress("198.51.100.1").value();
    smtp_.port = 25;
  }

  std::string Judge(const Subject& subject) {
    const Evaluation e = Evaluator(policy_).Evaluate(subject);
    lines_ = Explain(config_, subject, text_, e);
    const std::string rule = e.rule < config_.rules.size() ? config_.rules[e.rule].name : "default";
    const char* const kActions[] = {"", "allow", "deny", "redirect"};
    return absl::StrCat(kActions[e.action], " ", rule);
  }

  static constexpr BinaryId kSmtp{8, {1, 2}};
  Config config_;
  CompiledPolicy policy_;
  Subject smtp_;
  SubjectText text_{"postfix", "/usr/lib/postfix/sbin/smtp"};
  std::vector<std::string> lines_;
};

TEST_F(EvaluatorTest, GenuinePostfixIsAllowed) {
  EXPECT_EQ(Judge(smtp_), "allow postfix");
  EXPECT_THAT(lines_,
              ElementsAre("rule banned: port 25 is not 465", "rule postfix: matches: allow"));
}

TEST_F(EvaluatorTest, BotRunningAsPostfixIsDenied) {
  smtp_.binary = BinaryId{8, {9, 9}};
  text_.exe = "/tmp/bot";
  EXPECT_EQ(Judge(smtp_), "deny default");
  EXPECT_THAT(lines_, ElementsAre("rule banned: port 25 is not 465",
                                  "rule postfix: /tmp/bot is not /usr/lib/postfix/sbin/smtp",
                                  "rule local: 198.51.100.1 is not local",
                                  "rule mailers: 198.51.100.1 is not in 192.0.2.0/24",
                                  "rule boxed: user postfix is not 5000",
                                  "no rule matches; the default is deny"));
}

TEST_F(EvaluatorTest, PostfixStartedByABotIsDenied) {
  smtp_.started_as = 101;
  EXPECT_EQ(Judge(smtp_), "deny default");
  EXPECT_EQ(lines_[1], "rule postfix: it was started as uid 101, not as root");
}

TEST_F(EvaluatorTest, UnknownStartIsAssumedToFitAndSaidSo) {
  smtp_.started_as.reset();
  EXPECT_EQ(Judge(smtp_), "allow postfix");
  EXPECT_EQ(lines_[1], "rule postfix: matches, if it was started as root: allow");
}

TEST_F(EvaluatorTest, ProcessFromBeforeTheAgentMatchesNoRuleOnItsBinary) {
  smtp_.seen_at_exec = false;
  EXPECT_EQ(Judge(smtp_), "deny default");
  EXPECT_EQ(lines_[1],
            "rule postfix: its start was not seen, so nothing proves that it runs "
            "/usr/lib/postfix/sbin/smtp");
}

TEST_F(EvaluatorTest, BinaryThatOthersMayWriteProvesNothing) {
  smtp_.exe_trusted = false;
  EXPECT_EQ(Judge(smtp_), "deny default");
  EXPECT_EQ(lines_[1],
            "rule postfix: /usr/lib/postfix/sbin/smtp can be written by others than root, which "
            "proves nothing");
}

TEST_F(EvaluatorTest, AllowWantsRealAndEffectiveUser) {
  smtp_.euid = 0;
  EXPECT_EQ(Judge(smtp_), "deny default");
  EXPECT_EQ(lines_[1], "rule postfix: user postfix with effective uid 0 is not in both postfix");
}

TEST_F(EvaluatorTest, DenyWantsEitherUser) {
  smtp_.port = 465;
  smtp_.euid = 33;
  EXPECT_EQ(Judge(smtp_), "deny banned");
  std::swap(smtp_.uid, smtp_.euid);
  EXPECT_EQ(Judge(smtp_), "deny banned");
}

TEST_F(EvaluatorTest, ContainerMatchesOnlyWhatSaysSo) {
  smtp_.in_container = true;
  EXPECT_EQ(Judge(smtp_), "deny default");
  EXPECT_EQ(lines_[1],
            "rule postfix: it runs in a container, and the rule does not say 'container: true'");
  smtp_.destination_local = true;
  EXPECT_EQ(Judge(smtp_), "allow local");
  smtp_.destination_local = false;
  smtp_.uid = smtp_.euid = 5000;
  EXPECT_EQ(Judge(smtp_), "allow boxed");
  smtp_.in_container = false;
  EXPECT_EQ(Judge(smtp_), "deny default");
  EXPECT_EQ(lines_[4], "rule boxed: it does not run in a container");
}

TEST_F(EvaluatorTest, UserNamespaceMatchesOnlyWhatSaysSo) {
  smtp_.in_user_namespace = true;
  EXPECT_EQ(Judge(smtp_), "deny default");
  EXPECT_EQ(lines_[1],
            "rule postfix: it runs in a user namespace of its own, and the rule does not say "
            "'user_namespace: any'");
  smtp_.destination_local = true;
  EXPECT_EQ(Judge(smtp_), "allow local");
}

TEST_F(EvaluatorTest, RedirectIsOfWhatLeavesTheHostAndCannotBeTheMailServerItself) {
  config_.rules[0].action = POSTERN_ACTION_REDIRECT;
  config_.rules[0].ports = {{25, 0}};
  Rule everybody;
  everybody.name = "everybody";
  everybody.ports = {{25, 0}};
  everybody.action = POSTERN_ACTION_REDIRECT;
  config_.rules = {config_.rules[0], config_.rules[1], everybody};
  policy_ = *Compile(config_, [](const std::string&) { return absl::StatusOr<BinaryId>(kSmtp); });

  EXPECT_EQ(Judge(smtp_), "allow postfix");
  smtp_.binary.reset();
  EXPECT_EQ(Judge(smtp_), "redirect everybody");
  EXPECT_EQ(lines_.back(), "rule everybody: matches: redirect to this host's own mail server");
  // It may well be Postfix, from before the agent.
  smtp_.seen_at_exec = false;
  EXPECT_EQ(Judge(smtp_), "deny everybody");
  EXPECT_EQ(lines_.back(),
            "rule everybody: matches: deny, since its start was not seen: a rule that names no "
            "user, group or unit might redirect the mail server itself");
  smtp_.euid = 33;
  EXPECT_EQ(Judge(smtp_), "redirect banned");
  smtp_.destination_local = true;
  EXPECT_EQ(Judge(smtp_), "allow banned");
  EXPECT_EQ(lines_.back(), "rule banned: matches: allow, since it goes to this host already");
  smtp_.in_network_namespace = true;
  EXPECT_EQ(Judge(smtp_), "deny banned");
  EXPECT_EQ(lines_.back(),
            "rule banned: matches: deny, since nothing is redirected in a network namespace of "
            "its own");
}

TEST_F(EvaluatorTest, AnyGroupOfTheProcessCounts) {
  smtp_.binary.reset();
  smtp_.destination = ParseAddress("192.0.2.200").value();
  EXPECT_EQ(Judge(smtp_), "deny default");
  EXPECT_EQ(lines_[3], "rule mailers: none of its groups is mail");
  smtp_.gids = {101, 7, 8};
  EXPECT_EQ(Judge(smtp_), "allow mailers");
}

}  // namespace
}  // namespace postern::policy
