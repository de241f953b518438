// SPDX-License-Identifier: Apache-2.0
// status, tail, mode and policy test against an agent that a test plays.
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "cli/run.h"
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

class AgentCommandsTest : public CliTest {
 protected:
  AgentCommandsTest() : agent_(Socket("agent.sock")) {
    v1::StatusResponse& status = agent_.status;
    status.set_healthy(true);
    status.set_version("0.1.0");
    status.set_host("web1.example.net");
    status.set_started_ns(kAfternoon - 7260 * kSecond);
    status.set_mode("monitor");
    status.set_generation(3);
    status.set_policy_loaded_ns(kAfternoon - 60 * kSecond);
    status.set_rules(2);
    status.set_config_file("/etc/postern/agent.yaml");
    for (const char* name : {"connect4", "connect6", "exec", "fork", "exit"}) {
      v1::Hook* hook = status.add_hooks();
      hook->set_name(name);
      hook->set_attached(true);
    }
    v1::Hook* missing = status.add_hooks();
    missing->set_name("raw_sockets");
    missing->set_reason("raw sockets are not recorded: this kernel has no such feature");
    status.set_proven_ns(kAfternoon - 12 * kSecond);
    status.mutable_counters()->set_canaries(6);
    status.mutable_counters()->set_seen(12);
    status.mutable_counters()->set_allowed(10);
    status.mutable_counters()->set_would_deny(2);
    status.mutable_counters()->set_over_limit(4);
    status.mutable_counters()->set_redirected(3);
    status.mutable_counters()->set_would_redirect(1);
    status.mutable_counters()->set_coalesced(41);
    status.mutable_spool()->set_events(5);
    status.mutable_spool()->set_bytes(34 << 10);
    status.mutable_spool()->set_max_bytes(256 << 20);
    status.mutable_spool()->set_oldest_ns(kAfternoon - 30 * kSecond);
    v1::CollectorLink* link = status.mutable_collector();
    link->set_configured(true);
    link->set_connected(true);
    link->set_address("unix:/run/postern-collector/ingest.sock");
    link->set_last_acknowledged_ns(kAfternoon - 2 * kSecond);
  }

  Result Ask(std::vector<std::string> arguments) {
    arguments.push_back("--agent");
    arguments.push_back(Socket("agent.sock"));
    return Postern(arguments);
  }

  static Event Attempt(int pid) {
    Event event;
    event.set_kind(Event::CONNECT);
    event.set_time_ns(kAfternoon);
    event.set_host("web1.example.net");
    event.set_verdict(Event::DENIED);
    event.set_rule("default");
    event.set_pid(static_cast<uint32_t>(pid));
    event.set_user("www-data");
    event.set_exe("/usr/bin/perl");
    event.set_destination("192.0.2.25");
    event.set_port(25);
    return event;
  }

  FakeAgent agent_;
};

TEST_F(AgentCommandsTest, StatusOfAHealthyAgentFitsEightyColumns) {
  width_ = 80;
  const Result result = Ask({"status"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out,
            "host       web1.example.net, agent 0.1.0, running for 2h1m\n"
            "mode       monitor\n"
            "policy     generation 3, 2 rules, loaded 2026-03-01 14:29:00 UTC from\n"
            "           /etc/postern/agent.yaml\n"
            "hooks      connect4, connect6, exec, fork, exit\n"
            "           missing: raw_sockets: raw sockets are not recorded: this kernel has\n"
            "           no such feature\n"
            "canary     denied and recorded 12s ago, 2026-03-01 14:29:48 UTC\n"
            "attempts   12 since boot: 10 allowed, 0 denied, 4 over a limit, 3 redirected, 1\n"
            "           would be redirected, 2 would be denied; 41 came as repeats\n"
            "lost       0 events\n"
            "spool      5 events, 34 KiB of 256 MiB, the oldest from 2026-03-01 14:29:30 UTC\n"
            "collector  unix:/run/postern-collector/ingest.sock, connected; last acknowledged\n"
            "           2s ago\n"
            "healthy\n");
}

TEST_F(AgentCommandsTest, StatusOfAnUnhealthyAgentSaysWhyAndExitsWithThree) {
  agent_.status.set_healthy(false);
  agent_.status.add_problems("the configuration was refused: agent.yaml:3: unknown user");
  agent_.status.set_mode_overridden(true);
  agent_.status.mutable_counters()->set_redirects_without_room(2);
  agent_.status.mutable_collector()->set_connected(false);
  agent_.status.mutable_collector()->set_error("No such file or directory");
  const Result result = Ask({"status"});
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.out, HasSubstr("problem    the configuration was refused: agent.yaml:3"));
  EXPECT_THAT(result.out, HasSubstr("monitor (switched by hand; the file differs)"));
  EXPECT_THAT(result.out, HasSubstr("lost       0 events; 2 redirects denied, for the socket had"));
  EXPECT_THAT(result.out, HasSubstr("NOT connected: No such file or directory"));
  EXPECT_THAT(result.out, EndsWith("NOT healthy\n"));
}

TEST_F(AgentCommandsTest, StatusAsJsonIsOneObject) {
  const Result result = Ask({"status", "--json"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out.find('\n'), result.out.size() - 1);
  const json status = json::parse(result.out);
  EXPECT_EQ(status.at("healthy"), true);
  EXPECT_EQ(status.at("mode"), "monitor");
  EXPECT_EQ(status.at("counters").at("would_deny"), 2);
  EXPECT_EQ(status.at("counters").at("over_limit"), 4);
  EXPECT_EQ(status.at("counters").at("redirected"), 3);
  EXPECT_EQ(status.at("counters").at("would_redirect"), 1);
  EXPECT_EQ(status.at("hooks").at(5).at("attached"), false);
  EXPECT_EQ(status.at("spool").at("oldest"), "2026-03-01T14:29:30.000000000Z");
  EXPECT_EQ(status.at("proven"), "2026-03-01T14:29:48.000000000Z");
  EXPECT_EQ(status.at("counters").at("canaries"), 6);
}

TEST_F(AgentCommandsTest, StatusNamesWhoElseJudgesAndWhoComesLater) {
  const auto add = [this](int hook, uint32_t id, const char* name) {
    v1::OtherProgram* other = agent_.status.mutable_hooks(hook)->add_others();
    other->set_id(id);
    other->set_name(name);
    return other;
  };
  add(0, 5, "balance4");
  add(0, 6, "late4")->set_runs_after(true);
  v1::OtherProgram* old = add(1, 7, "judge_connect6");
  old->set_is_postern(true);
  old->set_pin_folder("/sys/fs/bpf/old");
  agent_.status.add_notes("there is no group postern");
  width_ = 80;
  const Result result = Ask({"status"});
  EXPECT_THAT(
      result.out,
      HasSubstr("           beside connect4: program 5 (balance4) runs before Postern and cannot\n"
                "           undo a denial\n"
                "           beside connect4: program 6 (late4) runs after Postern and could let\n"
                "           pass what is denied\n"
                "           beside connect6: program 7 (judge_connect6) that no agent watches,\n"
                "           pinned in /sys/fs/bpf/old: what it denies stays denied\n"));
  EXPECT_THAT(result.out, HasSubstr("note       there is no group postern\n"));
  const json status = json::parse(Ask({"status", "--json"}).out);
  EXPECT_EQ(status.at("notes").at(0), "there is no group postern");
  EXPECT_EQ(status.at("hooks").at(0).at("others").at(1).at("name"), "late4");
  EXPECT_EQ(status.at("hooks").at(0).at("others").at(1).at("runs_after"), true);
  EXPECT_EQ(status.at("hooks").at(1).at("others").at(0).at("pin_folder"), "/sys/fs/bpf/old");
  EXPECT_EQ(status.at("hooks").at(2).count("others"), 0u);
}

TEST_F(AgentCommandsTest, StatusNeverWritesWhatATerminalWouldObey) {
  agent_.status.set_host("web1\x1b[2J");
  agent_.status.add_problems("a\nb");
  EXPECT_THAT(Ask({"status"}).out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(Ask({"status"}).out, HasSubstr("a\\x0ab"));
  EXPECT_THAT(Ask({"status", "--json"}).out, Not(HasSubstr("\x1b")));
}

TEST_F(AgentCommandsTest, StatusSaysWhereNothingIsProvenYet) {
  agent_.status.clear_proven_ns();
  EXPECT_THAT(Ask({"status"}).out, HasSubstr("canary     none was denied and recorded yet\n"));
  EXPECT_EQ(json::parse(Ask({"status", "--json"}).out).count("proven"), 0u);
}

TEST_F(AgentCommandsTest, TailAsksForCanariesOnlyWhereToldTo) {
  agent_.keeps_tailing = false;
  Ask({"tail"});
  EXPECT_FALSE(agent_.tailed.canaries());
  Ask({"tail", "--canary"});
  EXPECT_TRUE(agent_.tailed.canaries());
}

TEST_F(AgentCommandsTest, TailShowsEventsUntilItIsInterrupted) {
  agent_.events = {Attempt(1), Attempt(2)};
  agent_.on_sent = [this] { Interrupt(); };
  const Result result = Ask({"tail", "--json"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "");
  // The interrupt may overtake what was sent, but never cuts a line.
  for (const absl::string_view line : absl::StrSplit(result.out, '\n', absl::SkipEmpty())) {
    EXPECT_EQ(json::parse(line).at("verdict"), "denied");
  }
}

TEST_F(AgentCommandsTest, TailHandsOutEveryEventInOrder) {
  for (int pid = 1; pid <= 500; ++pid) agent_.events.push_back(Attempt(pid));
  agent_.keeps_tailing = false;
  const Result result = Ask({"tail", "--json"});
  int pid = 0;
  for (const absl::string_view line : absl::StrSplit(result.out, '\n', absl::SkipEmpty())) {
    EXPECT_EQ(json::parse(line).at("pid"), ++pid);
  }
  EXPECT_EQ(pid, 500);
  // An agent that goes away is not what was asked for.
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("sends no more events; is it being stopped?"));
}

TEST_F(AgentCommandsTest, TailOnATerminalSaysHowToEndItAndKeepsToItsWidth) {
  width_ = 80;
  agent_.events = {Attempt(1), Attempt(2)};
  agent_.keeps_tailing = false;
  const Result result = Ask({"tail"});
  EXPECT_THAT(result.out, StartsWith("Attempts from now on; Ctrl-C ends.\nTIME UTC"));
  EXPECT_THAT(result.out, HasSubstr("\n03-01 14:30:00  denied"));
  for (const absl::string_view line : absl::StrSplit(result.out, '\n')) {
    EXPECT_LE(DisplayWidth(line), 80u);
  }
}

TEST_F(AgentCommandsTest, ModeIsSwitchedAndSendersToRestartAreNamed) {
  agent_.switched.set_generation(4);
  v1::Sender* sender = agent_.switched.add_restart_first();
  sender->set_pid(812);
  sender->set_comm("smtp");
  sender->set_exe("/usr/lib/postfix/sbin/smtp");
  sender->set_unit("/system.slice/postfix@-.service");
  const Result result = Ask({"mode", "enforce"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(agent_.mode, "enforce");
  EXPECT_THAT(result.out, StartsWith("Mode is now enforce (policy generation 4), until"));
  EXPECT_THAT(result.out, HasSubstr("postfix reload"));
  EXPECT_THAT(result.out, EndsWith("PID  COMM  EXE                         UNIT\n"
                                   "812  smtp  /usr/lib/postfix/sbin/smtp  "
                                   "/system.slice/postfix@-.service\n"));
}

TEST_F(AgentCommandsTest, ModeSaysNothingOfSendersWhenNoneNeedsARestart) {
  const Result result = Ask({"mode", "monitor"});
  EXPECT_EQ(agent_.mode, "monitor");
  EXPECT_THAT(result.out, Not(HasSubstr("senders")));
  EXPECT_EQ(Ask({"mode", "monitor", "--json"}).out,
            "{\"kind\":\"mode\",\"mode\":\"monitor\",\"generation\":0,\"restart_first\":[]}\n");
}

TEST_F(AgentCommandsTest, ModeThatIsNotOnTheDiskYetIsSaidAndExitsWithThree) {
  agent_.switched.set_problem("the switch is in force, but not on record yet");
  const Result result = Ask({"mode", "monitor"});
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.out, StartsWith("Mode is now monitor"));
  EXPECT_THAT(result.out, EndsWith("\nthe switch is in force, but not on record yet\n"));
  EXPECT_THAT(Ask({"mode", "monitor", "--json"}).out, HasSubstr("\"problem\":\"the switch is"));
}

TEST_F(AgentCommandsTest, PolicyShowFitsEightyColumnsAndHasHits) {
  v1::ShowPolicyResponse& shown = agent_.shown;
  shown.set_generation(3);
  shown.set_mode("enforce");
  shown.set_default_action("deny");
  shown.set_default_hits(42);
  shown.set_deny_errno("EPERM");
  for (const uint32_t port : {25, 465, 587}) shown.add_ports(port);
  shown.set_loaded_ns(kAfternoon);
  shown.set_config_file("/etc/postern/agent.yaml");
  const auto add = [](v1::PolicyRule& rule, const char* name, const char* value) {
    v1::PolicyField* field = rule.add_fields();
    field->set_name(name);
    field->add_values(value);
    return field;
  };
  v1::PolicyRule& postfix = *shown.add_rules();
  postfix.set_name("postfix");
  postfix.set_action("allow");
  postfix.set_hits(8123);
  add(postfix, "user", "postfix (105)");
  add(postfix, "exe", "/usr/lib/postfix/sbin/smtp");
  add(postfix, "started_as", "root (0)");
  v1::PolicyRule& shop = *shown.add_rules();
  shop.set_name("shop");
  shop.set_action("allow");
  shop.set_limit("100/h");
  add(shop, "user", "33")->add_values("34");
  width_ = 80;
  const Result result = Ask({"policy", "show"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out,
            "Generation 3, mode enforce, ports 25, 465, 587; what is denied fails with EPERM\n"
            "#  RULE     ACTION  LIMIT  HITS  MATCHES\n"
            "1  postfix  allow          8123  …\n"
            "    user postfix (105), exe /usr/lib/postfix/sbin/smtp, started_as root (0)\n"
            "2  shop     allow   100/h     0  user 33 or 34\n"
            "   default  deny             42  whatever no rule matches\n"
            "The kernel holds what the agent compiled from /etc/postern/agent.yaml at\n"
            "  2026-03-01 14:30:00 UTC.\n");

  const std::vector<std::string> lines =
      absl::StrSplit(Ask({"policy", "show", "--json"}).out, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(json::parse(lines[0]).at("hits"), 8123);
  EXPECT_EQ(json::parse(lines[0]).at("fields").at("exe").at(0), "/usr/lib/postfix/sbin/smtp");
  EXPECT_EQ(json::parse(lines[1]).at("limit"), "100/h");
  EXPECT_EQ(json::parse(lines[2]).at("default_hits"), 42);
  EXPECT_EQ(json::parse(lines[2]).at("ports").size(), 3u);
}

TEST_F(AgentCommandsTest, PolicyShowSaysWhereTheKernelHoldsSomethingElse) {
  agent_.shown.add_differences("the kernel's map policy_index is not what the agent compiled");
  const Result result = Ask({"policy", "show"});
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.out, HasSubstr("the kernel's map policy_index is not what"));
  EXPECT_THAT(result.out, HasSubstr("The kernel does NOT hold what the agent compiled"));
  EXPECT_EQ(Ask({"policy", "show", "--json"}).code, 3);
}

TEST_F(AgentCommandsTest, PolicyReloadTellsTheNewGeneration) {
  agent_.reloaded.set_taken(true);
  agent_.reloaded.set_generation(4);
  agent_.reloaded.set_mode("enforce");
  agent_.reloaded.set_rules(1);
  agent_.reloaded.set_config_file("/etc/postern/agent.yaml");
  agent_.reloaded.add_findings("/etc/postern/agent.yaml:9: warning: anybody passes");
  const Result result = Ask({"policy", "reload"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out,
            "/etc/postern/agent.yaml:9: warning: anybody passes\n"
            "In force now: generation 4, mode enforce, 1 rule, from /etc/postern/agent.yaml.\n");
  const json answer = json::parse(Ask({"policy", "reload", "--json"}).out);
  EXPECT_EQ(answer.at("kind"), "policy_reload");
  EXPECT_EQ(answer.at("taken"), true);
  EXPECT_EQ(answer.at("generation"), 4);
  EXPECT_EQ(answer.at("findings").size(), 1u);
}

TEST_F(AgentCommandsTest, PolicyReloadThatIsRefusedSaysWhyAndThatNothingChanged) {
  agent_.reloaded.set_generation(3);
  agent_.reloaded.set_mode("monitor");
  agent_.reloaded.set_rules(2);
  agent_.reloaded.add_findings("/etc/postern/agent.yaml:5: 'enforced' is neither\x1b[2J");
  const Result result = Ask({"policy", "reload"});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out,
            "/etc/postern/agent.yaml:5: 'enforced' is neither\\x1b[2J\n"
            "Nothing changed; still in force: generation 3, mode monitor, 2 rules.\n");
  EXPECT_EQ(Ask({"policy", "reload", "--json"}).code, 1);
}

TEST_F(AgentCommandsTest, PolicyTestShowsTheRuleAndWhy) {
  agent_.judgement.set_verdict(Event::WOULD_DENY);
  agent_.judgement.set_rule("default");
  agent_.judgement.set_generation(3);
  agent_.judgement.add_reasons("postfix: user www-data is not postfix");
  const std::vector<std::string> command = {"policy",   "test",
                                            "--user",   "www-data",
                                            "--exe",    "/usr/bin/php8.2",
                                            "--to",     "[2001:db8::25]:25",
                                            "--unit",   "/system.slice/cron.service",
                                            "--script", "/srv/shop.php"};
  const Result result = Ask(command);
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(agent_.asked.unit(), "/system.slice/cron.service");
  EXPECT_EQ(agent_.asked.script(), "/srv/shop.php");
  EXPECT_EQ(agent_.asked.user(), "www-data");
  EXPECT_EQ(agent_.asked.exe(), "/usr/bin/php8.2");
  EXPECT_EQ(agent_.asked.to(), "[2001:db8::25]:25");
  EXPECT_EQ(result.out,
            "would_deny by rule default (policy generation 3)\n"
            "- postfix: user www-data is not postfix\n");
  std::vector<std::string> as_json = command;
  as_json.push_back("--json");
  EXPECT_EQ(
      Ask(as_json).out,
      "{\"kind\":\"policy_test\",\"judged\":true,\"verdict\":\"would_deny\",\"rule\":\"default\","
      "\"generation\":3,\"reasons\":[\"postfix: user www-data is not postfix\"]}\n");
}

TEST_F(AgentCommandsTest, PolicyTestOfAPortThatIsNotWatchedSaysThatNothingIsJudged) {
  agent_.judgement.set_verdict(Event::ALLOWED);
  agent_.judgement.set_generation(3);
  agent_.judgement.add_reasons("port 26 is not one of `ports:`, so nothing is judged");
  const std::vector<std::string> command = {"policy", "test", "--user", "0",
                                            "--exe",  "/p",   "--to",   "192.0.2.1:26"};
  EXPECT_EQ(Ask(command).out,
            "not judged (policy generation 3)\n"
            "- port 26 is not one of `ports:`, so nothing is judged\n");
  std::vector<std::string> as_json = command;
  as_json.push_back("--json");
  EXPECT_THAT(Ask(as_json).out, HasSubstr("\"judged\":false,\"verdict\":\"allowed\",\"gen"));
}

TEST_F(AgentCommandsTest, WhatTheAgentRefusesIsAMistakeOfTheAsker) {
  agent_.refusal = "there is no user \"wwwdata\"\nnor \x1b[1m";
  const Result result = Ask(
      {"policy", "test", "--user", "wwwdata", "--exe", "/usr/bin/php8.2", "--to", "192.0.2.1:25"});
  EXPECT_EQ(result.code, 2);
  EXPECT_EQ(result.err, "postern: there is no user \"wwwdata\"\\x0anor \\x1b[1m\n");
}

TEST_F(AgentCommandsTest, ASocketThatDoesNotKnowTheRequestIsToldWithTheOneThatDoes) {
  const FakeCollector collector(Socket("collector.sock"));
  const auto refusal = [&](std::vector<std::string> arguments, const std::string& socket) {
    arguments.push_back(Socket(socket));
    const Result result = Postern(arguments);
    EXPECT_EQ(result.code, 1);
    EXPECT_THAT(result.err, StartsWith("postern: what listens at " + Socket(socket) +
                                       " does not know this request; ask the "));
    return result.err;
  };
  EXPECT_THAT(refusal({"mode", "monitor", "--agent"}, "collector.sock"),
              HasSubstr("ask the agent at admin.sock in its run_dir, "));
  for (const char* command : {"status", "tail"}) {
    EXPECT_THAT(refusal({command, "--agent"}, "collector.sock"),
                HasSubstr("ask the agent at read.sock or admin.sock in its run_dir, "));
  }
  for (const char* command : {"query", "hosts"}) {
    EXPECT_THAT(refusal({command, "--collector"}, "agent.sock"),
                HasSubstr("ask the collector at query.sock in its run_dir, "));
  }
}

TEST_F(AgentCommandsTest, AnAnswerThatCannotBeWrittenIsAnError) {
  std::ofstream full("/dev/full");
  std::ostringstream said;
  Console heard{.out = full,
                .err = said,
                .width = std::nullopt,
                .now = [] { return kAfternoon; },
                .take_interrupts = [] { return UniqueFd(); }};
  const std::string socket = Socket("agent.sock");
  const std::vector<const char*> argv = {"postern", "status", "--agent", socket.c_str()};
  EXPECT_EQ(cli::Run(static_cast<int>(argv.size()), argv.data(), heard), ExitCode::kError);
  EXPECT_THAT(said.str(), HasSubstr("cannot write the answer"));
}

}  // namespace
}  // namespace postern::cli
