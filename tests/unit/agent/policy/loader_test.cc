// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/unit/agent/policy/fake_host.h"

namespace postern::policy {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

LoadedConfig Load(const std::string& text, const FakeHost& host = FakeHost::WithPostfix()) {
  return LoadConfig("agent.yaml", text, host);
}

// The single fault of `text`, as "LINE: MESSAGE"; anything else is told too.
std::string OnlyFault(const std::string& text, const FakeHost& host = FakeHost::WithPostfix()) {
  const LoadedConfig loaded = Load(text, host);
  std::vector<std::string> faults;
  for (const Finding& finding : loaded.findings.all()) {
    if (finding.severity == Severity::kFault) {
      faults.push_back(absl::StrCat(finding.line, ": ", finding.message));
    }
  }
  EXPECT_EQ(loaded.ok(), faults.empty());
  if (faults.size() == 1) return faults.front();
  return absl::StrCat(faults.size(), " faults");
}

std::vector<std::string> Warnings(const LoadedConfig& loaded) {
  std::vector<std::string> warnings;
  for (const Finding& finding : loaded.findings.all()) {
    if (finding.severity == Severity::kWarning) {
      warnings.push_back(absl::StrCat(finding.line, ": ", finding.message));
    }
  }
  return warnings;
}

constexpr char kWhole[] = R"(mode: enforce
ports: [25, 587]
rules:
  - name: postfix
    user: postfix
    exe: /usr/lib/postfix/sbin/smtp
    started_as: root
    action: allow
  - name: office
    user: [alice, 33]
    group: mail
    destination: [local, 192.0.2.0/24, "2001:db8::/32"]
    port: 587
    container: true
    user_namespace: any
    action: allow
default: allow
deny_errno: ECONNREFUSED
raw_sockets: deny
earlier_connections: reset
on_stop: release
redirect_to: local
state_dir: /srv/state
run_dir: /srv/run
bpffs: /sys/fs/bpf/other
cgroup: /sys/fs/cgroup/unified
events: /var/log/postern.json
host: web1.example.net
collector: {address: [unix:/run/a.sock, unix:/run/b.sock]}
spool: {max_bytes: 64MiB}
)";

TEST(LoaderTest, EveryFieldIsRead) {
  const LoadedConfig loaded = Load(kWhole);
  ASSERT_TRUE(loaded.ok()) << testing::PrintToString(loaded.Lines());
  const Config& config = *loaded.config;
  EXPECT_EQ(config.mode, Mode::kEnforce);
  EXPECT_THAT(config.ports, ElementsAre(25, 587));
  EXPECT_EQ(config.default_action, POSTERN_ACTION_ALLOW);
  EXPECT_EQ(config.deny_errno, ECONNREFUSED);
  EXPECT_EQ(config.raw_sockets, RawSockets::kDeny);
  EXPECT_EQ(config.earlier_connections, EarlierConnections::kReset);
  EXPECT_EQ(config.on_stop, OnStop::kRelease);
  EXPECT_EQ(config.state_dir, "/srv/state");
  EXPECT_EQ(config.run_dir, "/srv/run");
  EXPECT_EQ(config.bpffs, "/sys/fs/bpf/other");
  EXPECT_EQ(config.cgroup, "/sys/fs/cgroup/unified");
  EXPECT_EQ(config.events, "/var/log/postern.json");
  EXPECT_EQ(config.host, "web1.example.net");
  EXPECT_THAT(config.collector_addresses, ElementsAre("unix:/run/a.sock", "unix:/run/b.sock"));
  EXPECT_EQ(config.spool_max_bytes, 64U << 20);
  EXPECT_EQ(loaded.text, kWhole);

  ASSERT_EQ(config.rules.size(), 2U);
  const Rule& office = config.rules[1];
  EXPECT_EQ(office.name, "office");
  EXPECT_EQ(office.line, 9);
  ASSERT_EQ(office.users.size(), 2U);
  EXPECT_EQ(office.users[0].id, 1000U);
  EXPECT_EQ(office.users[1].id, 33U);
  EXPECT_EQ(office.groups[0].id, 8U);
  EXPECT_TRUE(office.destination_local);
  ASSERT_EQ(office.destinations.size(), 2U);
  EXPECT_EQ(office.destinations[0].prefix.bits, 96U + 24U);
  EXPECT_EQ(office.destinations[1].prefix.bits, 32U);
  EXPECT_EQ(office.ports[0].port, 587);
  EXPECT_EQ(office.container, true);
  EXPECT_EQ(office.user_namespace, UserNamespace::kAny);
  EXPECT_EQ(config.rules[0].started_as[0].id, 0U);
}

TEST(LoaderTest, AFileThatIsEmptyOrOnlyCommentsIsRefused) {
  for (const char* text : {"", "# SPDX-License-Identifier: Apache-2.0\n# What the ag"}) {
    EXPECT_THAT(Load(text).Lines(),
                ElementsAre(StartsWith("agent.yaml:1: no key is set here: restore the file")));
  }
}

TEST(LoaderTest, WithoutRulesTheBuiltInOnesHoldAndThatIsNoted) {
  const LoadedConfig loaded = Load("mode: monitor\n");
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(loaded.Lines(), ElementsAre("agent.yaml: note: no 'rules' are written: the built-in "
                                          "ones hold (postfix, local)"));
  EXPECT_EQ(loaded.config->mode, Mode::kMonitor);
  EXPECT_THAT(loaded.config->ports, ElementsAre(25, 465, 587));
  EXPECT_EQ(loaded.config->default_action, POSTERN_ACTION_DENY);
  EXPECT_EQ(loaded.config->spool_max_bytes, 256U << 20);
  ASSERT_EQ(loaded.config->rules.size(), 2U);
  EXPECT_EQ(loaded.config->rules[0].name, "postfix");
  ASSERT_EQ(loaded.config->rules[0].exes.size(), 1U);
  EXPECT_EQ(loaded.config->rules[0].exes[0].path, "/usr/lib/postfix/sbin/smtp");
  EXPECT_EQ(loaded.config->rules[1].name, "local");
}

TEST(LoaderTest, BuiltInConfigurationIsAcceptedOnThisMachine) {
  const LoadedConfig loaded = LoadConfig("agent.yaml", "{}", *RealHost());
  ASSERT_TRUE(loaded.ok()) << testing::PrintToString(loaded.Lines());
  EXPECT_EQ(loaded.config->rules.back().name, "local");
}

TEST(LoaderTest, BuiltInPostfixRuleIsLeftOutWhereThereIsNoPostfix) {
  const LoadedConfig loaded = Load("{}", FakeHost::Bare());
  ASSERT_TRUE(loaded.ok());
  ASSERT_EQ(loaded.config->rules.size(), 1U);
  EXPECT_EQ(loaded.config->rules[0].name, "local");
  EXPECT_THAT(loaded.Lines(),
              Contains(HasSubstr("note: built-in rule postfix is left out: there is no user "
                                 "'postfix' on this host")));
}

TEST(LoaderTest, WrittenRuleOfAMissingPostfixIsRefused) {
  const LoadedConfig loaded = Load(R"(rules:
  - name: postfix
    user: postfix
    exe: /usr/lib/postfix/sbin/smtp
    started_as: root
    action: allow
)",
                                   FakeHost::Bare());
  EXPECT_FALSE(loaded.ok());
  EXPECT_THAT(
      loaded.Lines(),
      ElementsAre("agent.yaml:3: rule postfix: there is no user 'postfix' on this host",
                  "agent.yaml:4: rule postfix: binary '/usr/lib/postfix/sbin/smtp' does not exist "
                  "(/usr)"));
}

TEST(LoaderTest, LeavingOutKeepsWhatTheHostStillHas) {
  const std::string text = R"(rules:
  - {name: gone, user: bob, action: allow}
  - {name: half, user: [bob, alice], action: allow}
  - {name: late, user: alice, exe: /opt/gone, action: deny}
)";
  const LoadedConfig loaded = LoadConfig("last", text, FakeHost::WithPostfix(), Missing::kLeaveOut);
  ASSERT_TRUE(loaded.ok());
  ASSERT_EQ(loaded.config->rules.size(), 1U);
  EXPECT_EQ(loaded.config->rules[0].name, "half");
  ASSERT_EQ(loaded.config->rules[0].users.size(), 1U);
  EXPECT_EQ(loaded.config->rules[0].users[0].id, 1000U);
  EXPECT_EQ(loaded.Lines().size(), 3U);
}

TEST(LoaderTest, AllFaultsAreToldEachByItsLine) {
  const LoadedConfig loaded = Load(R"(mode: enfroce
prots: [25]
ports: [25, 70000]
rules:
  - name: one
    usr: postfix
    user: nobody-here
    action: allow
  - name: two
    destination: 10.0.0.1/8
    action: permit
on_stop: drop
)");
  EXPECT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.Lines(),
              ElementsAre(AllOf(StartsWith("agent.yaml:1: "), HasSubstr("enforce")),
                          AllOf(StartsWith("agent.yaml:2: "), HasSubstr("ports")),
                          AllOf(StartsWith("agent.yaml:3: "), HasSubstr("70000")),
                          AllOf(StartsWith("agent.yaml:6: "), HasSubstr("user")),
                          AllOf(StartsWith("agent.yaml:7: "), HasSubstr("nobody-here")),
                          AllOf(StartsWith("agent.yaml:10: "), HasSubstr("10.0.0.0/8")),
                          AllOf(StartsWith("agent.yaml:11: "), HasSubstr("allow")),
                          AllOf(StartsWith("agent.yaml:12: "), HasSubstr("release"))));
}

TEST(LoaderTest, CollectorOverTcpIsRead) {
  const LoadedConfig loaded = Load(
      "collector:\n"
      "  address: [\"collector.example.net:7425\", \"unix:/run/x\"]\n"
      "  tls: {ca: /a, cert: /b, key: /c}\n");
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(loaded.config->collector_addresses,
              ElementsAre("collector.example.net:7425", "unix:/run/x"));
  EXPECT_EQ(loaded.config->collector_tls.cert, "/b");
}

TEST(LoaderTest, CollectorThatCannotBeReachedIsAFault) {
  EXPECT_THAT(OnlyFault("collector: {address: \"host\"}\n"), HasSubstr("is no HOST:PORT"));
  EXPECT_THAT(OnlyFault("collector:\n  address: host:1\n  tls: {ca: /x, cert: /y}\n"),
              StartsWith("3: 'tls' has no 'key'"));
  EXPECT_THAT(OnlyFault("collector:\n  address: host:1\n  tls: {ca: x, cert: /y, key: /z}\n"),
              StartsWith("3: 'ca' wants the absolute path"));
}

TEST(LoaderTest, ExclusionsAreReadAndResolved) {
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

TEST(LoaderTest, FaultsInExclusionsAreTold) {
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

TEST(LoaderTest, RuleThatLostAnExclusionIsLeftOutOfTheLastGoodPolicy) {
  const LoadedConfig loaded =
      LoadConfig("last-good.yaml",
                 "rules: [{name: most, action: allow, not: {user: [root, gone]}}, "
                 "{name: local, destination: local, action: allow}]\n",
                 FakeHost::WithPostfix(), Missing::kLeaveOut);
  ASSERT_TRUE(loaded.ok()) << absl::StrJoin(loaded.Lines(), "\n");
  ASSERT_EQ(loaded.config->rules.size(), 1U);
  EXPECT_EQ(loaded.config->rules.front().name, "local");
}

TEST(LoaderTest, UnitsArePathsOrBeginningsOfPaths) {
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

TEST(LoaderTest, BadUnitsAreRefused) {
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

TEST(LoaderTest, ScriptsAreWholePathsAsEventsShowThem) {
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

TEST(LoaderTest, ScriptThatItsUserCouldClaimIsAWarning) {
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

TEST(LoaderTest, LimitsAreReadWithTheirUnit) {
  const LoadedConfig loaded = Load("rules: [{name: r, user: 33, action: allow, limit: 100/h}]\n");
  ASSERT_TRUE(loaded.ok()) << absl::StrJoin(loaded.Lines(), "\n");
  const Limit& limit = loaded.config->rules.front().limit.value();
  EXPECT_EQ(limit.count, 100U);
  EXPECT_EQ(limit.per, absl::Hours(1));
}

TEST(LoaderTest, BadLimitsAreRefused) {
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

TEST(LoaderTest, RedirectIsOfPort25Alone) {
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

TEST(LoaderTest, RedirectThatMeetsTheMailServerOrNobodyIsWarnedOf) {
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

TEST(LoaderTest, RuleBehindARedirectThatTakesAllOfItIsAFault) {
  const std::string text =
      "ports: [25]\nrules:\n  - {name: r, user: alice, action: redirect}\n"
      "  - {name: late, user: alice, action: deny}\n";
  EXPECT_THAT(OnlyFault(text), HasSubstr("can never match: rule r (line 3) comes first and matches "
                                         "all that it would, and does something else"));
}

TEST(LoaderTest, RedirectToKnowsOnlyLocal) {
  EXPECT_THAT(OnlyFault("redirect_to: 10.0.0.1\n"), HasSubstr("local"));
}

TEST(LoaderTest, BadValuesAreRefused) {
  EXPECT_THAT(OnlyFault("deny_errno: EACCES\n"), HasSubstr("EPERM"));
  EXPECT_THAT(OnlyFault("state_dir: var/lib\n"), HasSubstr("absolute"));
  EXPECT_THAT(OnlyFault(absl::StrCat("run_dir: /", std::string(100, 'r'), "\n")),
              HasSubstr("too long"));
  EXPECT_THAT(OnlyFault("cgroup: unified\n"), HasSubstr("absolute"));
  EXPECT_THAT(OnlyFault("events: stdout\n"), HasSubstr("stderr, journal, none"));
  EXPECT_THAT(OnlyFault("host: \"a b\"\n"), HasSubstr("one word"));
  EXPECT_THAT(OnlyFault("collector: {}\n"), HasSubstr("no address"));
  EXPECT_THAT(OnlyFault("collector: {address: unix:run.sock}\n"), HasSubstr("absolute"));
  EXPECT_THAT(OnlyFault("collector: {address: []}\n"), HasSubstr("empty list"));
  EXPECT_THAT(OnlyFault("spool: {max_bytes: 3}\n"), HasSubstr("1MiB"));
  EXPECT_THAT(OnlyFault("spool: {max_byte: 3GiB}\n"), HasSubstr("max_bytes"));
  EXPECT_THAT(OnlyFault("ports: []\n"), HasSubstr("empty list"));
  EXPECT_THAT(OnlyFault("ports: [0]\n"), HasSubstr("from 1 to 65535"));
  EXPECT_THAT(OnlyFault("mode\n"), Not(HasSubstr("faults")));
}

TEST(LoaderTest, BadRulesAreRefused) {
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

TEST(LoaderTest, TwoRulesOfOneNameAreRefused) {
  EXPECT_THAT(OnlyFault("rules:\n  - {name: r, user: alice, action: deny}\n"
                        "  - {name: r, user: 33, action: deny}\n"),
              StartsWith("3: rule r has the name of the rule at line 2"));
}

TEST(LoaderTest, NoMoreRulesThanTheKernelHasBits) {
  std::string text = "rules:\n";
  for (int i = 0; i < POSTERN_RULES; ++i) {
    absl::StrAppend(&text, "  - {name: r", i, ", user: ", i + 1, ", action: deny}\n");
  }
  EXPECT_TRUE(Load(text).ok());
  absl::StrAppend(&text, "  - {name: more, user: 5000, action: deny}\n");
  EXPECT_THAT(OnlyFault(text), StartsWith("258: there are 257 rules; at most 256"));
}

TEST(LoaderTest, NoMoreNamesThanAreWorthComparing) {
  for (const char* rule : {"user: [", "destination: ["}) {
    std::string text = absl::StrCat("rules:\n  - {name: r, action: deny, ", rule);
    for (int i = 0; i < 16384; ++i) absl::StrAppend(&text, "10.0.", i / 256, ".", i % 256, ",");
    if (rule[0] == 'u') text.erase(std::remove(text.begin(), text.end(), '.'), text.end());
    EXPECT_TRUE(Load(absl::StrCat(text, "]}\n")).ok());
    EXPECT_THAT(OnlyFault(absl::StrCat(text, rule[0] == 'u' ? "1" : "10.9.9.9", "]}\n")),
                StartsWith("2: the rules up to this one name more than 16384"));
  }
}

TEST(LoaderTest, UsersByNumberNeedNotExist) {
  const LoadedConfig loaded = Load("rules: [{name: r, user: 4294967294, action: deny}]\n");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.config->rules[0].users[0].id, 4294967294U);
}

TEST(LoaderTest, SilentNameServiceIsAFaultThatSaysSo) {
  FakeHost host = FakeHost::WithPostfix();
  host.name_service_error = absl::UnavailableError("the name service: timed out");
  EXPECT_THAT(OnlyFault("rules: [{name: r, user: alice, action: deny}]\n", host),
              HasSubstr("cannot be looked up: the name service: timed out"));
}

TEST(LoaderTest, BinaryThatThisProcessMayNotSeeIsAWarning) {
  FakeHost host = FakeHost::WithPostfix();
  host.hidden = "/usr/lib/postfix/sbin/smtp";
  const LoadedConfig loaded = Load(
      "rules:\n  - {name: r, user: postfix, exe: /usr/lib/postfix/sbin/smtp, started_as: root, "
      "action: allow}\n",
      host);
  EXPECT_TRUE(loaded.ok());
  EXPECT_THAT(Warnings(loaded), ElementsAre(HasSubstr("no permission to look at")));
}

TEST(LoaderTest, RuleThatAPreloadCouldPassIsWarnedOf) {
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

TEST(LoaderTest, RuleThatLetsEverybodyThroughIsWarnedOf) {
  EXPECT_THAT(Warnings(Load("rules: [{name: r, port: 587, action: allow}]\n")),
              ElementsAre(HasSubstr("lets everybody through to its ports")));
  EXPECT_THAT(Warnings(Load("rules: [{name: r, destination: local, action: allow}]\n")), IsEmpty());
}

TEST(LoaderTest, DenyRuleOnABinaryIsWarnedOf) {
  EXPECT_THAT(Warnings(Load("rules: [{name: r, exe: /usr/sbin/dma, action: deny}]\n")),
              ElementsAre(HasSubstr("easily passed by")));
}

TEST(LoaderTest, BinaryInAContainerIsWarnedOf) {
  EXPECT_THAT(Warnings(Load("rules: [{name: r, user: root, exe: /usr/sbin/dma, container: true, "
                            "action: allow}]\n")),
              ElementsAre(HasSubstr("file system of its own")));
}

TEST(LoaderTest, NoRulesAtAllIsWarnedOf) {
  const LoadedConfig loaded = Load("rules: []\n");
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE(loaded.config->rules.empty());
  EXPECT_THAT(Warnings(loaded), ElementsAre(HasSubstr("no rules at all")));
}

TEST(LoaderTest, ShadowedRuleOfTheOtherActionIsAFault) {
  EXPECT_THAT(OnlyFault("rules:\n  - {name: all, user: alice, action: deny}\n"
                        "  - {name: few, user: alice, port: 25, action: allow}\n"),
              StartsWith("3: rule few can never match: rule all (line 2) comes first"));
}

TEST(LoaderTest, ShadowedRuleOfTheSameActionIsAWarning) {
  const LoadedConfig loaded = Load(
      "rules:\n  - {name: all, user: alice, action: deny}\n"
      "  - {name: few, user: alice, port: 25, action: deny}\n");
  EXPECT_TRUE(loaded.ok());
  EXPECT_THAT(Warnings(loaded), ElementsAre(StartsWith("3: rule few can never match")));
}

TEST(LoaderTest, ARuleWithAFaultIsNotJudgedByWhatIsLeftOfIt) {
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

TEST(LoaderTest, MessagesAreOneLineWhateverTheFileHolds) {
  const LoadedConfig loaded = Load("rules: [{name: r, user: \"a\\nb\\e[2J\\0c\", action: deny}]\n");
  ASSERT_EQ(loaded.Lines().size(), 1U);
  EXPECT_THAT(loaded.Lines()[0], HasSubstr("a\\x0ab\\x1b[2J\\x00c"));
}

TEST(LoaderTest, UnreadableTextIsRefused) {
  EXPECT_FALSE(Load("rules: [").ok());
  EXPECT_FALSE(Load("- just\n- a list\n").ok());
  EXPECT_FALSE(Load(std::string(2 << 20, '#')).ok());
  EXPECT_FALSE(Load(std::string("\xff\xfe\0x", 4)).ok());
}

TEST(LoaderTest, AFileThatCannotBeReadIsOneFault) {
  const LoadedConfig loaded = CheckConfigFile("/nonexistent/agent.yaml");
  EXPECT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.Lines(), ElementsAre("/nonexistent/agent.yaml: cannot be read: No such file "
                                          "or directory"));
  EXPECT_THAT(CheckConfigFile("/dev/zero").Lines(),
              ElementsAre("/dev/zero: cannot be read: not a regular file"));
}

TEST(LoaderTest, AFileIsCheckedAgainstThisMachine) {
  const std::string path = absl::StrCat(testing::TempDir(), "/postern-agent-", getpid(), ".yaml");
  std::ofstream(path) << "rules: [{name: r, user: root, group: no-such-group-here, "
                         "action: deny}]\n";
  const LoadedConfig loaded = CheckConfigFile(path);
  unlink(path.c_str());
  EXPECT_THAT(loaded.Lines(),
              ElementsAre(absl::StrCat(
                  path, ":1: rule r: there is no group 'no-such-group-here' on this host")));
}

}  // namespace
}  // namespace postern::policy
