// SPDX-License-Identifier: Apache-2.0
// Rules as a file writes them; loader_test.cc has the rest of the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/unit/agent/policy/loading.h"

namespace postern::policy {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(RulesTest, ExclusionsAreReadAndResolved) {
  const LoadedConfig loaded = Load(R"(rules:
  - name: users
    action: allow
    not:
      user: [postfix, 33]
      group: mail
      exe: /usr/lib/postfix/sbin/smtp
      started_as: root
      destination: [local, 10.0.0.0/8]
      port: 465
)");
  ASSERT_TRUE(loaded.ok()) << absl::StrJoin(loaded.Lines(), "\n");
  const Rule& rule = loaded.config->rules.front();
  EXPECT_FALSE(rule.names_identity());
  ASSERT_EQ(rule.excluded.users.size(), 2U);
  EXPECT_EQ(rule.excluded.users[0].id, 101U);
  EXPECT_EQ(rule.excluded.groups.size(), 1U);
  EXPECT_EQ(rule.excluded.exes.size(), 1U);
  EXPECT_EQ(rule.excluded.started_as.front().id, 0U);
  EXPECT_TRUE(rule.excluded.destination_local);
  EXPECT_EQ(rule.excluded.destinations.size(), 1U);
  EXPECT_EQ(rule.excluded.ports.front().port, 465);
  // Who is left may be anybody of a container.
  EXPECT_FALSE(ReachOf(rule).in_container);
}

TEST(RulesTest, FaultsInExclusionsAreTold) {
  const auto rule = [](absl::string_view line) {
    return absl::StrCat("rules:\n  - name: r\n    user: [1, 2]\n    action: deny\n    ", line,
                        "\n");
  };
  EXPECT_THAT(OnlyFault(rule("not: {}")), HasSubstr("excludes nothing"));
  EXPECT_THAT(OnlyFault(rule("not: root")), HasSubstr("5: "));
  EXPECT_THAT(OnlyFault(rule("not: {users: root}")), HasSubstr("user"));
  EXPECT_THAT(OnlyFault(rule("not: {container: true}")), HasSubstr("container"));
  EXPECT_THAT(OnlyFault(rule("not: {user: nosuch}")), HasSubstr("no user 'nosuch'"));
  EXPECT_THAT(OnlyFault(rule("not: {port: 2525}")), HasSubstr("not among 'ports'"));
  EXPECT_THAT(OnlyFault(rule("not: {user: [2, 1]}")), HasSubstr("excludes every 'user'"));
  EXPECT_THAT(OnlyFault(rule("not: {port: [25, 465, 587]}")), HasSubstr("every 'port'"));
}

TEST(RulesTest, UnitsArePathsOrBeginningsOfPaths) {
  const LoadedConfig loaded = Load(
      "rules: [{name: r, action: allow, unit: [/system.slice/cron.service, "
      "/user.slice/user-1000*], not: {unit: /user.slice/user-1000.slice/x}}]\n");
  ASSERT_TRUE(loaded.ok()) << absl::StrJoin(loaded.Lines(), "\n");
  const Rule& rule = loaded.config->rules.front();
  ASSERT_EQ(rule.units.size(), 2U);
  EXPECT_FALSE(rule.units[0].prefix);
  EXPECT_TRUE(rule.units[1].prefix);
  EXPECT_EQ(rule.units[1].path, "/user.slice/user-1000");
  EXPECT_EQ(rule.excluded.units.size(), 1U);
}

TEST(RulesTest, BadUnitsAreRefused) {
  const auto rule = [](absl::string_view unit) {
    return absl::StrCat("rules:\n  - name: r\n    action: deny\n    unit: \"", unit, "\"\n");
  };
  EXPECT_THAT(OnlyFault(rule("postfix.service")),
              StartsWith("4: unit 'postfix.service' is no path"));
  EXPECT_THAT(OnlyFault(rule("/system.slice/*.service")), HasSubstr("not at its end"));
  EXPECT_THAT(OnlyFault(rule("/system.slice/")), HasSubstr("no cgroup can have"));
  EXPECT_THAT(OnlyFault(rule("//x")), HasSubstr("no cgroup can have"));
  EXPECT_THAT(OnlyFault(rule("/" + std::string(255, 'x'))), HasSubstr("longer than 255 bytes"));
}

TEST(RulesTest, ScriptsAreWholePathsAsEventsShowThem) {
  const LoadedConfig loaded = Load(
      "rules: [{name: r, action: allow, script: [/srv/a.pl, /srv/..b], not: {script: /srv/c}}]\n");
  ASSERT_TRUE(loaded.ok()) << absl::StrJoin(loaded.Lines(), "\n");
  const Rule& rule = loaded.config->rules.front();
  ASSERT_EQ(rule.scripts.size(), 2U);
  EXPECT_EQ(rule.scripts[1].path, "/srv/..b");
  EXPECT_EQ(rule.excluded.scripts.size(), 1U);
  EXPECT_TRUE(rule.says_who());
  const auto fault = [](absl::string_view script) {
    return OnlyFault(
        absl::StrCat("rules:\n  - name: r\n    action: allow\n    script: \"", script, "\"\n"));
  };
  EXPECT_THAT(fault("a.pl"), StartsWith("4: script 'a.pl' is not an absolute path"));
  for (const char* path : {"/a//b", "/a/./b", "/a/../b", "/a/", "/"}) {
    EXPECT_THAT(fault(path), HasSubstr("as events show it")) << path;
  }
  EXPECT_THAT(fault("/a/*"), HasSubstr("named by its whole path"));
  EXPECT_THAT(fault("/" + std::string(255, 'x')), HasSubstr("longer than 255 bytes"));
}

TEST(RulesTest, ScriptThatItsUserCouldClaimIsAWarning) {
  const auto warnings = [](absl::string_view fields) {
    const LoadedConfig loaded =
        Load(absl::StrCat("rules:\n  - {name: r, script: /a.pl, action: allow, ", fields, "}\n"));
    EXPECT_TRUE(loaded.ok()) << absl::StrJoin(loaded.Lines(), "\n");
    return Warnings(loaded);
  };
  EXPECT_THAT(warnings("user: 33"),
              ElementsAre(AllOf(StartsWith("2: rule r: a script is what the command line says; any "
                                           "program of its user can"),
                                HasSubstr("'started_as'"))));
  EXPECT_THAT(warnings("port: 25"), ElementsAre(HasSubstr("anybody can say the same")));
  EXPECT_THAT(warnings("user: [33, 34], started_as: [34, 35]"),
              ElementsAre(HasSubstr("any program of its user")));
  EXPECT_THAT(warnings("started_as: 35"), ElementsAre(HasSubstr("anybody")));
  EXPECT_THAT(warnings("user: 33, started_as: 0"), IsEmpty());
  EXPECT_THAT(warnings("user: 33, started_as: 35"), IsEmpty());
  EXPECT_THAT(warnings("user: 0"), IsEmpty());
  EXPECT_THAT(Warnings(Load("rules: [{name: r, user: 33, not: {script: /a.pl}, action: allow}]\n")),
              ElementsAre(HasSubstr("passes under another path")));
  EXPECT_THAT(Warnings(Load("rules: [{name: r, script: /a.pl, action: deny}]\n")),
              ElementsAre(HasSubstr("easily passed by")));
}

TEST(RulesTest, LimitsAreReadWithTheirUnit) {
  const LoadedConfig loaded = Load("rules: [{name: r, user: 33, action: allow, limit: 100/h}]\n");
  ASSERT_TRUE(loaded.ok()) << absl::StrJoin(loaded.Lines(), "\n");
  const Limit& limit = loaded.config->rules.front().limit.value();
  EXPECT_EQ(limit.count, 100U);
  EXPECT_EQ(limit.per, absl::Hours(1));
}

TEST(RulesTest, BadLimitsAreRefused) {
  const auto rule = [](absl::string_view limit, absl::string_view action = "allow") {
    return absl::StrCat("rules:\n  - name: r\n    user: 33\n    action: ", action,
                        "\n    limit: ", limit, "\n");
  };
  for (const char* limit : {"100", "/h", "x/h", "-3/h", "3/min", "1/h/h", "2000000/s", "1.5/h"}) {
    EXPECT_THAT(OnlyFault(rule(limit)), StartsWith("5: 'limit' is a number")) << limit;
  }
  EXPECT_THAT(OnlyFault(rule("0/h")), HasSubstr("a limit of 0"));
  EXPECT_THAT(OnlyFault(rule("3/h", "deny")), HasSubstr("needs no limit"));
}

TEST(RulesTest, RedirectIsOfPort25Alone) {
  const auto text = [](absl::string_view ports, absl::string_view lines) {
    return absl::StrCat("ports: ", ports, "\nrules:\n  - name: r\n    user: alice\n", lines,
                        "    action: redirect\n");
  };
  const char* const kUsual = "[25, 465, 587]";
  for (const auto& good : {text(kUsual, "    port: 25\n"), text("[25]", ""),
                           text(kUsual, "    not: {port: [465, 587]}\n")}) {
    const LoadedConfig loaded = Load(good);
    ASSERT_TRUE(loaded.ok()) << good << absl::StrJoin(loaded.Lines(), "\n");
    EXPECT_TRUE(loaded.findings.all().empty()) << absl::StrJoin(loaded.Lines(), "\n");
    EXPECT_EQ(loaded.config->rules[0].action, POSTERN_ACTION_REDIRECT);
    EXPECT_TRUE(ReachOf(loaded.config->rules[0]).in_container);
  }
  EXPECT_THAT(OnlyFault(text(kUsual, "")),
              AllOf(StartsWith("3: rule r would redirect port 465 as well: programs log in there"),
                    HasSubstr("write 'port: 25'")));
  EXPECT_THAT(OnlyFault(text(kUsual, "    not: {port: 465}\n")),
              StartsWith("3: rule r would redirect port 587 as well"));
  for (const char* port : {"465", "587"}) {
    EXPECT_THAT(
        OnlyFault(text(kUsual, absl::StrCat("    port:\n      - 25\n      - ", port, "\n"))),
        AllOf(StartsWith(absl::StrCat("7: rule r: port ", port, " cannot be redirected")),
              HasSubstr("neither the certificate nor the passwords")));
  }
  EXPECT_THAT(OnlyFault(text("[25, 2525]", "    port: 2525\n")),
              HasSubstr("own mail server is reached on port 25"));
  EXPECT_THAT(OnlyFault(text("[465]", "    port: 25\n")), HasSubstr("not among 'ports'"));
  EXPECT_TRUE(Load(text("[25]", "    limit: 100/h\n")).ok());
}

TEST(RulesTest, RedirectThatMeetsTheMailServerOrNobodyIsWarnedOf) {
  const auto warning = [](absl::string_view earlier, absl::string_view fields) {
    const LoadedConfig loaded = Load(absl::StrCat("ports: [25]\nrules:\n", earlier,
                                                  "  - {name: r, action: redirect", fields, "}\n"));
    EXPECT_TRUE(loaded.ok()) << absl::StrJoin(loaded.Lines(), "\n");
    return absl::StrJoin(loaded.Lines(), "\n");
  };
  const char* const kPostfix =
      "  - {name: p, user: postfix, exe: /usr/lib/postfix/sbin/smtp, started_as: root, "
      "action: allow}\n";
  EXPECT_THAT(warning("", ""), HasSubstr("the mail server's own deliveries too"));
  EXPECT_EQ(warning(kPostfix, ""), "");
  EXPECT_EQ(warning("", ", not: {user: postfix}"), "");
  EXPECT_EQ(warning("", ", user: alice"), "");
  EXPECT_THAT(warning("", ", user: alice, container: true"), HasSubstr("a network of its own"));
  EXPECT_THAT(warning("", ", user: alice, destination: local"), HasSubstr("redirects nothing"));
  EXPECT_THAT(warning(kPostfix, ", exe: /usr/lib/postfix/sbin/smtp"),
              HasSubstr("redirects only what was seen to start"));
}

TEST(RulesTest, RuleBehindARedirectThatTakesAllOfItIsAFault) {
  const std::string text =
      "ports: [25]\nrules:\n  - {name: r, user: alice, action: redirect}\n"
      "  - {name: late, user: alice, action: deny}\n";
  EXPECT_THAT(OnlyFault(text), HasSubstr("can never match: rule r (line 3) comes first and matches "
                                         "all that it would, and does something else"));
}

TEST(RulesTest, RedirectToKnowsOnlyLocal) {
  EXPECT_THAT(OnlyFault("redirect_to: 10.0.0.1\n"), HasSubstr("local"));
}

TEST(RulesTest, BadRulesAreRefused) {
  const auto rule = [](absl::string_view lines) {
    return absl::StrCat("rules:\n  - {name: r, action: allow, user: alice, ", lines, "}\n");
  };
  EXPECT_THAT(OnlyFault("rules: [{action: deny}]\n"), HasSubstr("no name"));
  EXPECT_THAT(OnlyFault("rules: [{name: r, user: alice}]\n"), HasSubstr("no action"));
  EXPECT_THAT(OnlyFault("rules: [{name: a b, action: deny}]\n"), HasSubstr("name"));
  EXPECT_THAT(OnlyFault("rules: [{name: default, action: deny}]\n"), HasSubstr("'default'"));
  EXPECT_THAT(OnlyFault("rules: {name: r, action: deny}\n"), HasSubstr("list"));
  EXPECT_THAT(OnlyFault("rules: [text]\n"), HasSubstr("a rule"));
  EXPECT_THAT(OnlyFault(rule("group: []")), HasSubstr("empty list"));
  EXPECT_THAT(OnlyFault(rule("group: nogroup-here")), HasSubstr("no group 'nogroup-here'"));
  EXPECT_THAT(OnlyFault(rule("started_as: 4294967295")), HasSubstr("largest id"));
  EXPECT_THAT(OnlyFault(rule("exe: smtp")), HasSubstr("not an absolute path"));
  EXPECT_THAT(OnlyFault(rule("destination: example.org")), HasSubstr("neither an IPv4"));
  EXPECT_THAT(OnlyFault(rule("destination: 10.0.0.0/33")), HasSubstr("prefix length"));
  EXPECT_THAT(OnlyFault(rule("port: 26")), HasSubstr("not among 'ports'"));
  EXPECT_THAT(OnlyFault(rule("port: 0")), HasSubstr("1 to 65535"));
  EXPECT_THAT(OnlyFault(rule("container: yes")), HasSubstr("true or false"));
  EXPECT_THAT(OnlyFault(rule("user_namespace: all")), HasSubstr("any"));
}

TEST(RulesTest, TwoRulesOfOneNameAreRefused) {
  EXPECT_THAT(OnlyFault("rules:\n  - {name: r, user: alice, action: deny}\n"
                        "  - {name: r, user: 33, action: deny}\n"),
              StartsWith("3: rule r has the name of the rule at line 2"));
}

TEST(RulesTest, NoMoreRulesThanTheKernelHasBits) {
  std::string text = "rules:\n";
  for (int i = 0; i < POSTERN_RULES; ++i) {
    absl::StrAppend(&text, "  - {name: r", i, ", user: ", i + 1, ", action: deny}\n");
  }
  EXPECT_TRUE(Load(text).ok());
  absl::StrAppend(&text, "  - {name: more, user: 5000, action: deny}\n");
  EXPECT_THAT(OnlyFault(text), StartsWith("258: there are 257 rules; at most 256"));
}

TEST(RulesTest, NoMoreNamesThanAreWorthComparing) {
  for (const char* rule : {"user: [", "destination: ["}) {
    std::string text = absl::StrCat("rules:\n  - {name: r, action: deny, ", rule);
    for (int i = 0; i < 16384; ++i) absl::StrAppend(&text, "10.0.", i / 256, ".", i % 256, ",");
    if (rule[0] == 'u') text.erase(std::remove(text.begin(), text.end(), '.'), text.end());
    EXPECT_TRUE(Load(absl::StrCat(text, "]}\n")).ok());
    EXPECT_THAT(OnlyFault(absl::StrCat(text, rule[0] == 'u' ? "1" : "10.9.9.9", "]}\n")),
                StartsWith("2: the rules up to this one name more than 16384"));
  }
}

TEST(RulesTest, UsersByNumberNeedNotExist) {
  const LoadedConfig loaded = Load("rules: [{name: r, user: 4294967294, action: deny}]\n");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.config->rules[0].users[0].id, 4294967294U);
}

TEST(RulesTest, RuleThatAPreloadCouldPassIsWarnedOf) {
  const auto warnings = [](absl::string_view more) {
    return Warnings(
        Load(absl::StrCat("rules:\n  - {name: r, exe: /usr/sbin/dma, action: allow", more, "}\n")));
  };
  EXPECT_THAT(warnings(""), ElementsAre(StartsWith("2: rule r: anybody can start that binary")));
  EXPECT_THAT(warnings(", user: alice"), ElementsAre(HasSubstr("any program of its user")));
  EXPECT_THAT(warnings(", user: alice, started_as: alice"), ElementsAre(HasSubstr("LD_PRELOAD")));
  EXPECT_THAT(warnings(", user: alice, started_as: root"), IsEmpty());
  EXPECT_THAT(warnings(", user: root"), IsEmpty());
}

TEST(RulesTest, RuleThatLetsEverybodyThroughIsWarnedOf) {
  EXPECT_THAT(Warnings(Load("rules: [{name: r, port: 587, action: allow}]\n")),
              ElementsAre(HasSubstr("lets everybody through to its ports")));
  EXPECT_THAT(Warnings(Load("rules: [{name: r, destination: local, action: allow}]\n")), IsEmpty());
}

TEST(RulesTest, DenyRuleOnABinaryIsWarnedOf) {
  EXPECT_THAT(Warnings(Load("rules: [{name: r, exe: /usr/sbin/dma, action: deny}]\n")),
              ElementsAre(HasSubstr("easily passed by")));
}

TEST(RulesTest, BinaryInAContainerIsWarnedOf) {
  EXPECT_THAT(Warnings(Load("rules: [{name: r, user: root, exe: /usr/sbin/dma, container: true, "
                            "action: allow}]\n")),
              ElementsAre(HasSubstr("file system of its own")));
}

TEST(RulesTest, ShadowedRuleOfTheOtherActionIsAFault) {
  EXPECT_THAT(OnlyFault("rules:\n  - {name: all, user: alice, action: deny}\n"
                        "  - {name: few, user: alice, port: 25, action: allow}\n"),
              StartsWith("3: rule few can never match: rule all (line 2) comes first"));
}

TEST(RulesTest, ShadowedRuleOfTheSameActionIsAWarning) {
  const LoadedConfig loaded = Load(
      "rules:\n  - {name: all, user: alice, action: deny}\n"
      "  - {name: few, user: alice, port: 25, action: deny}\n");
  EXPECT_TRUE(loaded.ok());
  EXPECT_THAT(Warnings(loaded), ElementsAre(StartsWith("3: rule few can never match")));
}

TEST(RulesTest, ARuleWithAFaultIsNotJudgedByWhatIsLeftOfIt) {
  const char* const rules[] = {
      "{name: r, script: x, action: allow}",
      "{name: r, user: [], action: allow}",
      "{name: r, exe: /usr/lib/postfix/sbin/smtp, action: alow}",
      "{user: postfix, action: allow, port: 99}",
      "{name: a b, action: allow}",
      "{name: r, action: alow, limit: 1/h}",
      "{name: r, user: ghost, action: allow}",
      "nothing",
  };
  for (const char* rule : rules) {
    const LoadedConfig loaded = Load(
        absl::StrCat("rules:\n  - ", rule, "\n  - {name: later, user: postfix, action: deny}\n"));
    EXPECT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.findings.all().size(), 1U) << absl::StrJoin(loaded.Lines(), "\n");
  }
}

TEST(RulesTest, BinaryThatThisProcessMayNotSeeIsAWarning) {
  FakeHost host = FakeHost::WithPostfix();
  host.hidden = "/usr/lib/postfix/sbin/smtp";
  const LoadedConfig loaded = Load(
      "rules:\n  - {name: r, user: postfix, exe: /usr/lib/postfix/sbin/smtp, started_as: root, "
      "action: allow}\n",
      host);
  EXPECT_TRUE(loaded.ok());
  EXPECT_THAT(Warnings(loaded), ElementsAre(HasSubstr("no permission to look at")));
}

}  // namespace
}  // namespace postern::policy
