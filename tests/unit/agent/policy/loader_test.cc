// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/unit/agent/policy/fake_host.h"
#include "tests/unit/agent/policy/loading.h"

namespace postern::policy {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

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

TEST(LoaderTest, MetricsAreServedOnLoopbackAlone) {
  EXPECT_EQ(Load("mode: monitor\n").config->metrics, "");
  EXPECT_EQ(Load("metrics: 127.0.0.1:7427\n").config->metrics, "127.0.0.1:7427");
  EXPECT_THAT(OnlyFault("mode: monitor\nmetrics: 192.0.2.1:7427\n"),
              AllOf(StartsWith("2: 'metrics' wants"), HasSubstr("127.0.0.1")));
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

TEST(LoaderTest, SilentNameServiceIsAFaultThatSaysSo) {
  FakeHost host = FakeHost::WithPostfix();
  host.name_service_error = absl::UnavailableError("the name service: timed out");
  EXPECT_THAT(OnlyFault("rules: [{name: r, user: alice, action: deny}]\n", host),
              HasSubstr("cannot be looked up: the name service: timed out"));
}

TEST(LoaderTest, NoRulesAtAllIsWarnedOf) {
  const LoadedConfig loaded = Load("rules: []\n");
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE(loaded.config->rules.empty());
  EXPECT_THAT(Warnings(loaded), ElementsAre(HasSubstr("no rules at all")));
}

TEST(LoaderTest, MessagesAreOneLineWhateverTheFileHolds) {
  const LoadedConfig loaded = Load("rules: [{name: r, user: \"a\\nb\\e[2J\\0c\", action: deny}]\n");
  ASSERT_EQ(loaded.Lines().size(), 1U);
  EXPECT_THAT(loaded.Lines()[0], HasSubstr("a\\x0ab\\x1b[2J\\x00c"));
}

TEST(LoaderTest, MessagesAreShortHoweverLongAValueIs) {
  const std::string longest(100'000, 'x');
  const LoadedConfig loaded =
      Load("mode: " + longest + "\nrules: [{name: r, user: " + longest + ", action: deny}]\n");
  ASSERT_EQ(loaded.Lines().size(), 2U);
  for (const std::string& line : loaded.Lines()) EXPECT_LT(line.size(), 1000U) << line;
  EXPECT_THAT(loaded.Lines()[0], HasSubstr("monitor"));
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

TEST(LoaderTest, AFileThatOthersMayWriteIsOneFaultThatSaysWhatToDo) {
  const std::string path = absl::StrCat(testing::TempDir(), "/postern-open-", getpid(), ".yaml");
  std::ofstream(path) << "state_dir: /elsewhere\ndefault: allow\n";
  for (const auto& [mode, who] : {std::pair(0664, "its group"), std::pair(0646, "all")}) {
    ASSERT_EQ(chmod(path.c_str(), static_cast<mode_t>(mode)), 0);
    const LoadedConfig loaded = CheckConfigFile(path);
    EXPECT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.text, "") << "of somebody else's, not even where the state is kept";
    EXPECT_THAT(loaded.Lines(),
                ElementsAre(absl::StrCat(path, ": is writable by ", who,
                                         ", who could let anybody send: chmod go-w ", path)));
  }
  ASSERT_EQ(chmod(path.c_str(), 0644), 0);
  EXPECT_THAT(CheckConfigFile(path).text, HasSubstr("/elsewhere"));
  if (geteuid() == 0) {
    ASSERT_EQ(chown(path.c_str(), 65534, 0), 0);
    EXPECT_THAT(CheckConfigFile(path).Lines(),
                ElementsAre(absl::StrCat(path,
                                         ": belongs to uid 65534, who could let anybody send: "
                                         "chown root: ",
                                         path)));
  }
  unlink(path.c_str());
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
