// SPDX-License-Identifier: Apache-2.0
// policy would and policy learn against an agent and a collector that a test plays.
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "cli/recorded.h"
#include "cli/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/cli/fake_agent.h"
#include "tests/unit/cli/fake_collector.h"
#include "tests/unit/cli/fixture.h"

namespace postern::cli {
namespace {

using nlohmann::json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using v1::Event;

class PolicyCommandsTest : public CliTest {
 protected:
  PolicyCommandsTest() : agent_(Socket("agent.sock")) {
    agent_.status.set_host("web1");
    agent_.checked.set_accepted(true);
    agent_.checked.set_mode("enforce");
    agent_.completeness.set_complete(true);
    std::ofstream(Path("new.yaml")) << "mode: enforce\n";
  }

  static Event Attempt(const std::string& user, const std::string& exe, Event::Verdict verdict,
                       uint64_t repeats = 0) {
    Event event;
    event.set_kind(Event::CONNECT);
    event.set_time_ns(kAfternoon - 60 * kSecond);
    event.set_verdict(verdict);
    event.set_rule(verdict == Event::ALLOWED ? "mailer" : "default");
    event.set_uid(33);
    event.set_user(user);
    event.set_exe(exe);
    event.set_exe_trusted(true);
    event.set_identity(Event::EXEC);
    event.set_started_as(33);
    event.set_destination("192.0.2.25");
    event.set_destination_local(false);
    event.set_port(25);
    event.set_repeats(repeats);
    return event;
  }

  static v1::Judgement By(Event::Verdict verdict, const std::string& rule) {
    v1::Judgement judgement;
    judgement.set_verdict(verdict);
    judgement.add_rules(rule);
    return judgement;
  }

  Result Would(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"policy",         "would",   "--file",
                                          Path("new.yaml"), "--agent", Socket("agent.sock")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Postern(arguments);
  }

  static std::vector<json> Lines(const Result& result) {
    std::vector<json> lines;
    for (const absl::string_view line : absl::StrSplit(result.out, '\n', absl::SkipEmpty())) {
      lines.push_back(json::parse(line));
    }
    return lines;
  }

  FakeAgent agent_;
};

TEST_F(PolicyCommandsTest, WouldListsWhatChangesBySender) {
  agent_.events = {Attempt("shop", "/usr/bin/msmtp", Event::WOULD_DENY),
                   Attempt("shop", "/usr/bin/msmtp", Event::WOULD_DENY, 9),
                   Attempt("postfix", "/usr/lib/postfix/sbin/smtp", Event::ALLOWED),
                   Attempt("bot", "/tmp/x", Event::WOULD_DENY)};
  agent_.judge = [](const Event& sender) {
    if (sender.user() == "shop") return By(Event::ALLOWED, "shop");
    if (sender.user() == "bot") return By(Event::DENIED, "default");
    return By(Event::ALLOWED, "mailer");
  };
  width_ = 80;
  const Result result = Would();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(agent_.tried.text(), "mode: enforce\n");
  EXPECT_EQ(agent_.tried.file(), Path("new.yaml"));
  EXPECT_EQ(agent_.recorded.since_ns(), kAfternoon - 7 * 86400 * kSecond);
  EXPECT_THAT(result.out,
              HasSubstr("WAS                   WOULD BE          ATTEMPTS  LAST UTC        USER\n"
                        "    EXE (SCRIPT)  DESTINATION\n"
                        "would_deny (default)  allowed (shop)          11  03-01 14:29:00  shop\n"
                        "    /usr/bin/msmtp  192.0.2.25:25\n"
                        "would_deny (default)  denied (default)         1  03-01 14:29:00  bot\n"
                        "    /tmp/x  192.0.2.25:25\n"));
  EXPECT_THAT(result.out, Not(HasSubstr("postfix"))) << "nothing changes there";
  EXPECT_THAT(result.out, EndsWith("The record is complete for this time.\n"
                                   "Of 13 attempts 12 would be judged otherwise; 0 could not be "
                                   "judged; the record\n  is complete.\n"));
  for (const absl::string_view line : absl::StrSplit(result.out, '\n')) {
    EXPECT_LE(DisplayWidth(line), 80u) << line;
  }

  const std::vector<json> lines = Lines(Would({"--json", "--since", "2h"}));
  EXPECT_EQ(agent_.recorded.since_ns(), kAfternoon - 7200 * kSecond);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0].at("kind"), "change");
  EXPECT_EQ(lines[0].at("user"), "shop");
  EXPECT_EQ(lines[0].at("count"), 11);
  EXPECT_EQ(lines[0].at("verdict"), "would_deny");
  EXPECT_EQ(lines[0].at("would").at("verdict"), "allowed");
  EXPECT_EQ(lines[0].at("would").at("rule"), "shop");
  EXPECT_EQ(lines[0].at("last"), "2026-03-01T14:29:00.000000000Z");
  EXPECT_EQ(lines[1].at("would").at("verdict"), "denied");
  EXPECT_EQ(lines[2].at("kind"), "would");
  EXPECT_EQ(lines[2].at("attempts"), 13);
  EXPECT_EQ(lines[2].at("changed"), 12);
  EXPECT_EQ(lines[2].at("source"), "the agent's spool");
  EXPECT_EQ(lines[3].at("kind"), "completeness");
}

TEST_F(PolicyCommandsTest, WouldSaysWhatItCannotTell) {
  agent_.events = {Attempt("shop", "/usr/bin/msmtp", Event::ALLOWED, 4),
                   Attempt("web", "/usr/bin/msmtp", Event::ALLOWED)};
  agent_.judge = [](const Event& sender) {
    v1::Judgement judgement = By(Event::ALLOWED, "mailer");
    if (sender.user() == "web") {
      judgement.set_within_limit(true);
      return judgement;
    }
    judgement.Clear();
    judgement.set_unknown("its start was not seen");
    return judgement;
  };
  agent_.checked.add_new_ports(2525);
  agent_.checked.add_findings("new.yaml:3: warning: anybody passes");
  agent_.completeness.set_complete(false);
  v1::HostGap& gap = *agent_.completeness.add_gaps();
  gap.set_host("web1");
  gap.mutable_gap()->set_reason(v1::Gap::NOT_KEPT);
  gap.mutable_gap()->set_from_ns(kAfternoon - 100 * kSecond);
  gap.mutable_gap()->set_to_ns(kAfternoon - 90 * kSecond);
  const Result result = Would();
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.out, HasSubstr("new.yaml:3: warning: anybody passes\n"));
  EXPECT_THAT(result.out, HasSubstr("Could not be judged: 5 attempts: its start was not seen\n"));
  EXPECT_THAT(result.out, HasSubstr("1 attempt by rules with a limit: judged as within it\n"));
  EXPECT_THAT(result.out, HasSubstr("nothing is on record: port 2525\n"));
  EXPECT_THAT(result.out, HasSubstr("spool no longer has them"));
  EXPECT_THAT(result.out, EndsWith("Of 6 attempts 0 would be judged otherwise; 5 could not be "
                                   "judged; the record is NOT complete.\n"));
  const json summary = Lines(Would({"--json"})).at(0);
  EXPECT_EQ(summary.at("unjudged"), 5);
  EXPECT_EQ(summary.at("unknown").at(0).at("reason"), "its start was not seen");
}

TEST_F(PolicyCommandsTest, WouldAsksTheCollectorWhereTheAgentHasOneAndOnlyOfItsHost) {
  FakeCollector collector(Socket("query.sock"));
  collector.completeness.set_complete(true);
  collector.events = {Attempt("shop", "/usr/bin/msmtp", Event::DENIED)};
  agent_.judge = [](const Event&) { return By(Event::ALLOWED, "shop"); };
  // Named, or known to the agent.
  for (const bool configured : {false, true}) {
    agent_.status.mutable_collector()->set_configured(configured);
    const std::vector<json> lines = Lines(Would({"--json", "--collector", Socket("query.sock")}));
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[1].at("source"), "the collector at " + Socket("query.sock"));
    EXPECT_EQ(collector.found.filter().hosts(0), "web1");
    EXPECT_EQ(collector.found.filter().since_ns(), kAfternoon - 7 * 86400 * kSecond);
  }
  const Result missing = Would({"--collector", Socket("nobody.sock")});
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("cannot reach the collector"));
}

TEST_F(PolicyCommandsTest, WouldOfARefusedFileShowsItsFaults) {
  agent_.checked.set_accepted(false);
  agent_.checked.add_findings("new.yaml:1: 'enforced' is neither");
  const Result result = Would();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.out, StartsWith("new.yaml:1: 'enforced' is neither\n"));
  EXPECT_THAT(result.out, EndsWith("new.yaml is refused, so nothing would change.\n"));
  const json line = Lines(Would({"--json"})).at(0);
  EXPECT_EQ(line.at("accepted"), false);
  EXPECT_EQ(line.at("findings").size(), 1u);
}

TEST_F(PolicyCommandsTest, WouldRefusesFilesAndTimesThatCannotBeMeant) {
  EXPECT_THAT(Would({"--since", "tomorrow"}).err, HasSubstr("--since: \"tomorrow\" is not a time"));
  EXPECT_EQ(Would({"--since", "2030-01-01"}).code, 2);
  EXPECT_THAT(Postern({"policy", "would", "--file", Path("none")}).err,
              HasSubstr("none cannot be read: No such file or directory"));
  EXPECT_THAT(Postern({"policy", "would", "--file", Path("")}).err,
              HasSubstr("cannot be read: not a regular file"));
  std::ofstream(Path("large.yaml")) << std::string((1 << 20) + 1, '#');
  EXPECT_THAT(Postern({"policy", "would", "--file", Path("large.yaml")}).err,
              HasSubstr("cannot be read: larger than 1048576 bytes"));
}

// Opening a FIFO waits for who writes, and /dev/zero has no end.
TEST_F(PolicyCommandsTest, WouldReadsNothingButARegularFile) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  for (const std::string& file : {Path("fifo"), std::string("/dev/zero")}) {
    const Result result =
        Postern({"policy", "would", "--file", file, "--agent", Socket("agent.sock")});
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_EQ(result.err, "postern: --file: " + file + " cannot be read: not a regular file\n");
  }
}

TEST_F(PolicyCommandsTest, SendersPastTheMostAreCountedAndNotForgotten) {
  RecordedSenders senders(/*most=*/2);
  for (const char* user : {"a", "b", "c", "a"}) {
    senders.Add(Attempt(user, "/x", Event::DENIED, 1));
  }
  Event policy;
  policy.set_kind(Event::POLICY);
  senders.Add(policy);
  EXPECT_EQ(senders.senders().size(), 2u);
  EXPECT_EQ(senders.senders()[0].attempts, 4u);
  EXPECT_EQ(senders.attempts(), 8u);
  EXPECT_EQ(senders.left_out(), 2u);
}

class LearnTest : public PolicyCommandsTest {
 protected:
  LearnTest() {
    for (const uint32_t port : {25, 587}) agent_.shown.add_ports(port);
    agent_.judge = [](const Event&) { return v1::Judgement(); };
  }

  Result Learn(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"policy", "learn", "--agent", Socket("agent.sock")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Postern(arguments);
  }

  // What the YAML has besides comments.
  static std::string Rules(const Result& result) {
    std::string rules;
    for (const absl::string_view line : absl::StrSplit(result.out, '\n', absl::SkipEmpty())) {
      const size_t text = line.find_first_not_of(' ');
      if (line[text] != '#') rules += std::string(line) + "\n";
    }
    return rules;
  }
};

TEST_F(LearnTest, ABinaryThatNobodyCanReplaceGetsARuleWithItsEvidence) {
  Event smtp = Attempt("nobody", "/usr/lib/postfix/sbin/smtp", Event::WOULD_DENY, 9);
  smtp.set_uid(65534);
  smtp.set_euid(65534);
  smtp.set_started_as(0);
  Event msmtp = Attempt("no-such-user", "/usr/bin/msmtp", Event::ALLOWED);
  msmtp.set_euid(33);
  msmtp.set_port(587);
  Event local = Attempt("no-such-user", "/usr/bin/perl", Event::ALLOWED);
  local.set_destination_local(true);
  agent_.events = {smtp, msmtp, local};
  const Result result = Learn();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(Rules(result),
            "ports: [25, 587]\n"
            "rules:\n"
            "  - name: nobody-smtp\n"
            "    user: nobody\n"
            "    exe: /usr/lib/postfix/sbin/smtp\n"
            "    started_as: root\n"
            "    port: 25\n"
            "    action: allow\n"
            "  - name: no-such-user-msmtp\n"
            "    user: 33\n"
            "    exe: /usr/bin/msmtp\n"
            "    port: 587\n"
            "    destination: \"192.0.2.25\"\n"
            "    action: allow\n"
            "  - name: local\n"
            "    destination: local\n"
            "    action: allow\n"
            "default: deny\n");
  EXPECT_THAT(result.out, HasSubstr("# 10 attempts by user nobody, /usr/lib/postfix/sbin/smtp, to "
                                    "192.0.2.25, port 25\n"));
  EXPECT_THAT(result.out, HasSubstr("# first 2026-03-01 14:29:00, last 2026-03-01 14:29:00 UTC\n"));
  EXPECT_THAT(result.out, HasSubstr("# so far: 10 would_deny by rule default\n"));
  EXPECT_THAT(result.out, HasSubstr("LD_PRELOAD")) << "of msmtp";
  EXPECT_THAT(result.out, HasSubstr("# The record is complete for this time.\n"));
  // What is shown is what the agent has checked.
  EXPECT_EQ(agent_.tried.text(), result.out);
}

TEST_F(LearnTest, WhatCannotBeProvenIsNeverProposed) {
  std::vector<Event> events;
  const auto add = [&](const std::string& exe) -> Event& {
    events.push_back(Attempt("www-data", exe, Event::WOULD_DENY));
    events.back().set_euid(33);
    return events.back();
  };
  for (const char* exe :
       {"/usr/bin/perl", "/usr/bin/perl5.36.0", "/usr/bin/php8.2", "/usr/sbin/php-fpm8.2",
        "/usr/bin/python3.11", "/usr/bin/bash", "/bin/dash", "/usr/bin/sh", "/usr/bin/ruby3.1",
        "/usr/bin/node", "/usr/sbin/apache2", "/usr/bin/busybox", "/usr/bin/nc.openbsd",
        "/usr/bin/curl", "/usr/bin/openssl", "/lib64/ld-linux-x86-64.so.2"}) {
    add(exe);
  }
  add("/tmp/bot").set_exe_trusted(false);
  add("/usr/bin/replaced");
  agent_.untrusted["/usr/bin/replaced"] = "can be replaced: the folder /usr/bin is writable";
  add("/usr/bin/run").set_script("/var/www/shell.cgi");
  add("/usr/bin/seeded").set_identity(Event::SEEDED);
  add("/usr/bin/mm").set_identity(Event::MM);
  add("/memfd:x").set_exe_unlinked(true);
  add("memfd:x");
  add("[0:41]/usr/bin/postfix");
  add("usr/bin/cut").set_exe_cut(true);
  add("/usr/bin/contained").set_in_container(true);
  add("/usr/bin/spaced").set_in_user_namespace(true);
  add("/usr/bin/a\\x0ab");
  add("");
  add("/usr/bin/spread").clear_euid();
  agent_.events = events;
  const Result result = Learn();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(Rules(result), "ports: [25, 587]\nrules: []\ndefault: deny\n") << result.out;
  size_t reasons = 0;
  for (const json& line : Lines(Learn({"--json"}))) {
    if (line.at("kind") != "proposal") continue;
    EXPECT_EQ(line.at("proposed"), false);
    EXPECT_NE(line.at("why_not"), "");
    ++reasons;
  }
  EXPECT_EQ(reasons, events.size());
  EXPECT_THAT(result.out, HasSubstr("# no rule: perl runs whatever script"));
  EXPECT_THAT(result.out, HasSubstr("# no rule: its binary can be replaced: the folder /usr/bin"));
  EXPECT_THAT(result.out, HasSubstr("# scripts: /var/www/shell.cgi\n"));
}

TEST_F(LearnTest, NothingInTheRecordEndsAComment) {
  Event event = Attempt("x\naction: allow", "/usr/bin/a\nrules:", Event::WOULD_DENY);
  event.set_euid(33);
  event.set_rule("y\xe2\x80\xa8z: 1");
  event.set_script("\r\n- name: all\n  action: allow");
  agent_.events = {event};
  EXPECT_EQ(Rules(Learn()), "ports: [25, 587]\nrules: []\ndefault: deny\n");
}

TEST_F(LearnTest, SendersOfOneNameGetRulesOfTheirOwn) {
  Event first = Attempt("a b", "/usr/bin/msmtp", Event::ALLOWED);
  first.set_euid(33);
  Event second = Attempt("a b", "/opt/msmtp", Event::ALLOWED);
  second.set_euid(33);
  agent_.events = {first, second};
  const std::string rules = Rules(Learn());
  EXPECT_THAT(rules, HasSubstr("name: a-b-msmtp\n"));
  EXPECT_THAT(rules, HasSubstr("name: a-b-msmtp-2\n"));
}

// What a flood of users leaves on record: too much to ask for at once, and more than a
// configuration may have.
TEST_F(LearnTest, ThousandsOfSendersLeaveAProposalThatIsAccepted) {
  constexpr uint32_t kSenders = 20'000;
  for (uint32_t i = 0; i < kSenders; ++i) {
    Event event =
        Attempt("", "/usr/lib/" + std::string(200, 'x') + std::to_string(i), Event::WOULD_DENY);
    event.set_uid(100'000 + i);
    event.set_euid(100'000 + i);
    // The others are proven, and too many for a policy.
    if (i < kSenders / 2) event.set_exe_trusted(false);
    agent_.events.push_back(event);
  }
  agent_.events.back().set_repeats(40);
  agent_.events.front().set_repeats(50);
  const Result result = Learn();
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(agent_.tried.text(), result.out);
  EXPECT_LT(result.out.size(), size_t{1} << 20);
  EXPECT_THAT(result.out, HasSubstr("# 51 attempts by user 100000,"));
  EXPECT_THAT(result.out, HasSubstr("# 41 attempts by user 119999,"));
  size_t rules = 0;
  size_t refusals = 0;
  for (const absl::string_view line : absl::StrSplit(result.out, '\n')) {
    if (absl::StrContains(line, "- name: ")) ++rules;
    if (absl::StrContains(line, "# no rule: ")) ++refusals;
  }
  EXPECT_EQ(rules, 256u);
  EXPECT_EQ(refusals, 101u);
  EXPECT_THAT(result.out, HasSubstr("# no rule: 19644 more senders with 19644 attempts;"));
}

TEST_F(LearnTest, AnIncompleteRecordIsSaid) {
  agent_.completeness.set_complete(false);
  const Result result = Learn();
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.out, HasSubstr("# The record is NOT complete for this time"));
}

TEST_F(LearnTest, AProposalThatTheAgentRefusesIsNotShown) {
  agent_.checked.set_accepted(false);
  agent_.checked.add_findings("the proposal:3: no such user");
  const Result result = Learn();
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("the proposal:3: no such user"));
}

}  // namespace
}  // namespace postern::cli
