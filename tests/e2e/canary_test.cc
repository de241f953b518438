// SPDX-License-Identifier: Apache-2.0
// The agent proves itself, and says so where it cannot.
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "bpf/abi/base.h"
#include "tests/support/foreign_program.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

using nlohmann::json;

// As a line of JSON has it.
constexpr char kKind[] = "\"kind\":\"canary\"";

class Canary : public Lab {
 protected:
  // The canaries among what `postern query WORDS…` answers.
  std::vector<json> Canaries(const std::vector<std::string>& words) {
    std::vector<json> canaries;
    for (const json& line : postern().Query(words).lines) {
      if (line.value("kind", "") == "canary") canaries.push_back(line);
    }
    return canaries;
  }
  // A reload is a new generation, which is proven at once: no test waits a minute.
  void ProveAgain() { postern().agent().Signal(SIGHUP); }
  std::string Proven() { return postern().Status().value("proven", ""); }
  // Since the policy in force was loaded.
  void ExpectProven() {
    EXPECT_TRUE(Eventually([&] {
      const json status = postern().Status();
      return status.value("proven", "") > status.value("policy_loaded", "?");
    })) << postern().Status();
  }
  // Until `postern status` ends with 3 and has a problem that says `text`; then the
  // event that tells of it.
  json ExpectFailure(const std::string& text) {
    Answer status;
    EXPECT_TRUE(Eventually([&] {
      status = postern().Ask({"status"});
      return status.exit_code == 3 && !status.lines.empty() &&
             absl::StrContains(status.lines[0]["problems"].dump(), text);
    })) << status.lines.size()
        << (status.lines.empty() ? json() : status.lines[0]);
    json found;
    EXPECT_TRUE(Eventually([&] {
      for (const json& event : Canaries({})) {
        if (absl::StrContains(event.value("message", ""), text)) found = event;
      }
      return !found.is_null();
    })) << "no event says: "
        << text;
    return found;
  }

  // The agent's child while there is one.
  pid_t Child() {
    const pid_t agent = postern().agent().pid();
    std::ifstream file(absl::StrCat("/proc/", agent, "/task/", agent, "/children"));
    pid_t child = -1;
    return file >> child ? child : -1;
  }
  // Has one begin, and holds it before it can report.
  pid_t CatchChild() {
    pid_t caught = -1;
    EXPECT_TRUE(Eventually([&] {
      ProveAgain();
      return Eventually(
          [&] {
            for (int look = 0; look < 10000 && caught < 0; ++look) {
              const pid_t child = Child();
              if (child <= 0 || kill(child, SIGSTOP) != 0) continue;
              // One that did not run yet has all of the agent's files.
              if (Files(child) <= 2) {
                caught = child;
              } else {
                kill(child, SIGCONT);
              }
            }
            return caught > 0;
          },
          absl::Seconds(1));
    }));
    return caught;
  }
  static size_t Files(pid_t pid) {
    std::error_code error;
    const std::filesystem::directory_iterator files(absl::StrCat("/proc/", pid, "/fd"), error);
    // Gone already.
    if (error) return 3;
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }
  static bool IsGone(pid_t pid) {
    std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
    std::string text;
    return !std::getline(file, text) || absl::StrContains(text, ") Z ");
  }
};

TEST_F(Canary, ItIsDeniedInMonitorModeAndHiddenUnlessAskedFor) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("monitor"));
  EXPECT_EQ(Rogue().result, "OK");
  EXPECT_TRUE(Eventually([&] { return !Proven().empty(); })) << postern().Status();
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 0);
  std::vector<json> canaries;
  EXPECT_TRUE(Eventually([&] {
    canaries = Canaries({"--canary"});
    return canaries.size() >= 2;
  }));
  for (const json& event : canaries) {
    EXPECT_EQ(event.value("verdict", ""), "denied") << event;
    EXPECT_EQ(event.value("uid", 0), 65534) << event;
    EXPECT_EQ(event.value("comm", ""), "posternd-canary") << event;
    EXPECT_TRUE(absl::StartsWith(event.value("destination", ""), "127.99.97.")) << event;
    EXPECT_EQ(event.value("port", 0), 25) << event;
    EXPECT_FALSE(event.contains("rule")) << event;
  }
  ASSERT_NO_FATAL_FAILURE(Fence());
  EXPECT_TRUE(Canaries({}).empty());
  EXPECT_TRUE(Canaries({"--to", "127.99.97.0/24"}).empty());
  EXPECT_EQ(Canaries({"--canary", "--to", "127.99.97.0/24"}).size(), canaries.size());
  const auto groups = [this](std::vector<std::string> words) {
    words.insert(words.end(), {"--to", "127.99.97.0/24", "--group-by", "verdict"});
    return postern().Query(words).lines;
  };
  EXPECT_EQ(groups({}).size(), 1u) << "the completeness alone";
  ASSERT_EQ(groups({"--canary"}).size(), 2u);
  EXPECT_EQ(groups({"--canary"})[0].value("count", size_t{0}), canaries.size());
  EXPECT_FALSE(absl::StrContains(ReadFile(postern().event_log()), kKind));
  const json counters = postern().Status()["counters"];
  EXPECT_EQ(counters.value("denied", -1), 0) << counters;
  EXPECT_GE(counters.value("canaries", 0), 2) << counters;
}

TEST_F(Canary, TailShowsItWhereAskedTo) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const std::string command =
      std::filesystem::path(postern().posternd()).replace_filename("postern");
  const std::string agent = absl::StrCat("--agent=unix:", postern().run_dir(), "/read.sock");
  auto all = Start({command, "tail", "--json", "--canary", agent});
  auto usual = Start({command, "tail", "--json", agent});
  EXPECT_TRUE(Eventually([&] {
    ProveAgain();
    return absl::StrContains(all->Output(), kKind) &&
           absl::StrContains(usual->Output(), "\"kind\":\"policy\"");
  })) << all->Output();
  const Attempt last = Rogue();
  EXPECT_TRUE(Eventually(
      [&] { return absl::StrContains(usual->Output(), absl::StrCat("\"pid\":", last.pid, ",")); }));
  EXPECT_FALSE(absl::StrContains(usual->Output(), kKind)) << usual->Output();
}

TEST_F(Canary, AHookThatSomebodyDetachesIsToldAndHealsByARestart) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  auto detach =
      Start({"bpftool", "link", "detach", "pinned",
             absl::StrCat(postern().pins(), "/v", POSTERN_ABI_VERSION, "/links/connect4")});
  ASSERT_EQ(detach->Wait().value_or(-1), 0) << detach->Error();
  EXPECT_EQ(Rogue().result, "OK") << "the attack";
  ProveAgain();
  const json event = ExpectFailure("(connect4) passed, and no record of it came");
  EXPECT_EQ(event.value("verdict", ""), "allowed") << event;
  EXPECT_TRUE(absl::StrContains(ReadFile(postern().event_log()), "passed, and no record"));
  EXPECT_EQ(postern().StopAgent(), 0);
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  EXPECT_TRUE(Eventually([&] { return !Proven().empty(); })) << postern().Status();
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 0);
  EXPECT_EQ(Rogue().result, "EPERM");
}

TEST_F(Canary, AForeignProgramThatLetsPassIsToldAndHealsWithoutARestart) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  EXPECT_EQ(Rogue().result, "EPERM");
  auto foreign = support::AttachOverride();
  ASSERT_TRUE(foreign.ok()) << foreign.status();
  EXPECT_EQ(Rogue().result, "OK") << "the attack";
  ProveAgain();
  const json event = ExpectFailure("passed, though Postern denied it");
  EXPECT_EQ(event.value("verdict", ""), "allowed") << event;
  foreign->reset();
  EXPECT_TRUE(Eventually([&] { return postern().Ask({"status"}).exit_code == 0; }))
      << postern().Status();
}

TEST_F(Canary, AReloadWithOtherPortsIsProvenOnThose) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  EXPECT_TRUE(Eventually([&] { return !Proven().empty(); }));
  WriteFile(postern().config_file(),
            absl::StrReplaceAll(ReadFile(postern().config_file()),
                                {{"ports: [25, 465, 587]", "ports: [587]"},
                                 {"default: deny", "default: deny\ndeny_errno: ECONNREFUSED"}}));
  ProveAgain();
  EXPECT_TRUE(Eventually([&] { return !Canaries({"--canary", "--port", "587"}).empty(); }));
  ExpectProven();
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 0) << postern().Status();
}

TEST_F(Canary, AnAgentThatIsStoppedTakesItAlong) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const pid_t child = CatchChild();
  ASSERT_GT(child, 0);
  EXPECT_EQ(postern().StopAgent(), 0);
  EXPECT_TRUE(IsGone(child));
}

TEST_F(Canary, OneThatAKilledAgentLeftDoesNotConfuseTheNext) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const pid_t left = CatchChild();
  ASSERT_GT(left, 0);
  postern().KillAgent();
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  EXPECT_TRUE(Eventually([&] { return !Proven().empty(); })) << postern().Status();
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 0);
  // It holds nothing of the agent's, and ends by itself.
  kill(left, SIGCONT);
  EXPECT_TRUE(Eventually([&] { return IsGone(left); }));
  EXPECT_EQ(Rogue().result, "EPERM");
  postern().ExpectComplete();
}

TEST_F(Canary, AgentsThatAreKilledAtOnceAlwaysStartAgain) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  for (int round = 0; round < 10; ++round) {
    postern().KillAgent();
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent()) << postern().agent_log();
  }
  EXPECT_TRUE(Eventually([&] { return !Proven().empty(); })) << postern().Status();
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 0);
}

}  // namespace
}  // namespace postern::lab
