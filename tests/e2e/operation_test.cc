// SPDX-License-Identifier: Apache-2.0
// What an administrator does with a running agent.
#include <signal.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

using nlohmann::json;

class Operation : public Lab {
 protected:
  AgentConfig Config(const std::string& mode) const {
    AgentConfig config;
    config.mode = mode;
    config.rules = DefaultRules(smtp());
    return config;
  }
  int64_t Generation() { return postern().Status().value("generation", int64_t{0}); }
};

TEST_F(Operation, ModeIsSwitchedAtOnceAndBack) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("monitor"));
  EXPECT_EQ(Rogue().result, "OK");
  EXPECT_EQ(postern().Ask({"mode", "enforce"}).exit_code, 0);
  EXPECT_EQ(Rogue().result, "EPERM");
  EXPECT_EQ(postern().Status().value("mode", ""), "enforce");
  EXPECT_EQ(postern().Status().value("mode_overridden", false), true);
  EXPECT_EQ(postern().Ask({"mode", "monitor"}).exit_code, 0);
  EXPECT_EQ(Rogue().result, "OK");
}

TEST_F(Operation, OverrideOutlivesARestartUntilTheFileChanges) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("monitor"));
  EXPECT_EQ(postern().Ask({"mode", "enforce"}).exit_code, 0);
  EXPECT_EQ(postern().StopAgent(), 0);
  EXPECT_EQ(Rogue().result, "EPERM");
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  EXPECT_EQ(Rogue().result, "EPERM");
  // The file's value changes, and changes back: then the file holds again.
  for (const char* mode : {"enforce", "monitor"}) {
    const int64_t before = Generation();
    postern().Configure(Config(mode));
    postern().agent().Signal(SIGHUP);
    EXPECT_TRUE(Eventually([&] { return Generation() > before; })) << mode;
  }
  EXPECT_EQ(Rogue().result, "OK");
}

TEST_F(Operation, ReloadPutsANewPolicyInPlace) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  EXPECT_EQ(Rogue().result, "EPERM");
  AgentConfig config = Config("enforce");
  config.rules += "  - name: shop\n    user: www-data\n    action: allow\n";
  postern().Configure(config);
  const int64_t before = Generation();
  postern().agent().Signal(SIGHUP);
  EXPECT_TRUE(Eventually([&] { return Generation() > before; }));
  const Attempt allowed = Rogue();
  EXPECT_EQ(allowed.result, "OK");
  const json event = postern().AwaitOne(allowed.pid);
  EXPECT_EQ(event.value("rule", ""), "shop") << event;
  EXPECT_EQ(event.value("generation", int64_t{0}), Generation()) << event;
}

TEST_F(Operation, ReloadOfABadPolicyChangesNothingAndSaysWhy) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const int64_t before = Generation();
  AgentConfig config = Config("enforce");
  config.rules += "  - name: shop\n    user: no-such-user\n    action: allow\n";
  postern().Configure(config);
  postern().agent().Signal(SIGHUP);
  Answer status;
  EXPECT_TRUE(Eventually([&] {
    status = postern().Ask({"status"});
    return status.exit_code == 3;
  })) << "status does not say unhealthy";
  ASSERT_FALSE(status.lines.empty());
  EXPECT_TRUE(absl::StrContains(status.lines[0]["problems"].dump(), "no-such-user"))
      << status.lines[0];
  EXPECT_TRUE(absl::StrContains(postern().agent_log(), "no-such-user")) << postern().agent_log();
  EXPECT_EQ(Generation(), before);
  EXPECT_EQ(Rogue().result, "EPERM");

  postern().Configure(Config("enforce"));
  postern().agent().Signal(SIGHUP);
  EXPECT_TRUE(Eventually([&] { return postern().Ask({"status"}).exit_code == 0; }))
      << "status stays unhealthy after the policy was mended";
}

TEST_F(Operation, ReloadIsAskedForAndAnswered) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const int64_t before = Generation();
  AgentConfig config = Config("enforce");
  config.rules += "  - name: shop\n    user: no-such-user\n    action: allow\n";
  postern().Configure(config);
  const Answer refused = postern().Ask({"policy", "reload"});
  EXPECT_EQ(refused.exit_code, 1);
  ASSERT_EQ(refused.lines.size(), 1u);
  EXPECT_EQ(refused.lines[0].value("taken", true), false);
  EXPECT_EQ(refused.lines[0].value("generation", int64_t{0}), before);
  EXPECT_TRUE(absl::StrContains(refused.lines[0]["findings"].dump(), "no-such-user"))
      << refused.lines[0];
  EXPECT_EQ(Rogue().result, "EPERM");

  config.rules =
      Config("enforce").rules + "  - name: shop\n    user: www-data\n    action: allow\n";
  postern().Configure(config);
  const Answer taken = postern().Ask({"policy", "reload"});
  EXPECT_EQ(taken.exit_code, 0) << taken.error;
  ASSERT_EQ(taken.lines.size(), 1u);
  EXPECT_EQ(taken.lines[0].value("generation", int64_t{0}), before + 1);
  // In force when the answer is there: nothing is waited for.
  EXPECT_EQ(Rogue().result, "OK");
}

TEST_F(Operation, ReleaseRefusesBesideARunningAgent) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const support::Finished refused = postern().Release();
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.error, "");
  EXPECT_EQ(Rogue().result, "EPERM");

  EXPECT_EQ(postern().StopAgent(), 0);
  const support::Finished released = postern().Release();
  EXPECT_EQ(released.exit_code, 0) << released.error;
  EXPECT_FALSE(std::filesystem::exists(postern().pins()));
  EXPECT_EQ(Rogue().result, "OK");
  EXPECT_EQ(postern().Release().exit_code, 0) << "nothing to release is no error";
}

TEST_F(Operation, APolicyLeftUnderOtherPinsIsNamedAndTakenDown) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  EXPECT_EQ(postern().StopAgent(), 0);
  // The file of the agent that ran until now, and one with another `bpffs:`.
  const std::string pins = postern().pins();
  const std::string before = root() + "/before.yaml";
  std::string text = ReadFile(postern().config_file());
  WriteFile(before, text);
  const std::string moved = pins + "-moved";
  text.replace(text.find(pins), pins.size(), moved);
  text.replace(text.find("mode: enforce"), strlen("mode: enforce"), "mode: monitor");
  WriteFile(postern().config_file(), text);
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  EXPECT_EQ(Rogue().result, "EPERM") << "by the policy that was left";
  const Answer status = postern().Ask({"status"});
  EXPECT_EQ(status.exit_code, 3);
  ASSERT_FALSE(status.lines.empty());
  const std::string problems = status.lines[0]["problems"].dump();
  EXPECT_TRUE(absl::StrContains(problems, absl::StrCat("pinned in ", pins, ";"))) << problems;
  EXPECT_TRUE(absl::StrContains(postern().agent_log(), absl::StrCat("pinned in ", pins, ";")))
      << postern().agent_log();

  const support::Finished released = postern().RunAgent({"--config", before, "--release"});
  EXPECT_EQ(released.exit_code, 0) << released.error;
  EXPECT_EQ(Rogue().result, "OK");
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 0);
  EXPECT_EQ(postern().StopAgent(), 0);
  EXPECT_EQ(postern().Release().exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(moved));
}

TEST_F(Operation, StatusSaysWhatRunsAndCounts) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const json before = postern().Status();
  EXPECT_EQ(before.value("healthy", false), true) << before;
  EXPECT_EQ(before.value("mode", ""), "enforce") << before;
  for (const json& hook : before.value("hooks", json::array())) {
    // Where BPF LSM is not active two are missing, and say so.
    const bool may_miss = absl::StartsWith(hook.value("name", ""), "socket_");
    EXPECT_TRUE(hook.value("attached", false) ||
                (may_miss && absl::StrContains(hook.value("reason", ""), "BPF LSM")))
        << hook;
  }
  Rogue();
  const json after = postern().Status();
  EXPECT_GE(after["counters"].value("denied", 0), before["counters"].value("denied", 0) + 1);
  EXPECT_EQ(after["counters"].value("lost", 0), 0) << after;
}

TEST_F(Operation, TailShowsEventsAsTheyHappen) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  auto tail =
      Start({std::filesystem::path(postern().posternd()).replace_filename("postern"), "tail",
             "--json", "--agent", absl::StrCat("unix:", postern().run_dir(), "/read.sock")});
  int64_t pid = -1;
  // Until the command has its connection, what happens is not shown.
  EXPECT_TRUE(Eventually([&] {
    pid = Rogue().pid;
    return Eventually(
        [&] { return absl::StrContains(tail->Output(), absl::StrCat("\"pid\":", pid, ",")); },
        absl::Seconds(1));
  })) << tail->Output()
      << tail->Error();
}

TEST_F(Operation, PolicyTestAgreesWithTheKernel) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const auto verdict = [this](const std::string& user, const std::string& exe,
                              const std::string& address) {
    const Answer answer = postern().Ask(
        {"policy", "test", "--user", user, "--exe", exe, "--to", absl::StrCat(address, ":25")});
    return answer.lines.empty() ? json() : answer.lines[0];
  };
  const json postfix = verdict("postfix", smtp(), internet().v4());
  EXPECT_EQ(postfix.value("verdict", ""), "allowed") << postfix;
  EXPECT_EQ(postfix.value("rule", ""), "postfix") << postfix;
  const json shop = verdict("www-data", Program("connect"), internet().v4());
  EXPECT_EQ(shop.value("verdict", ""), "denied") << shop;
  const json local = verdict("www-data", Program("connect"), internet().own_v4());
  EXPECT_EQ(local.value("rule", ""), "local") << local;
}

TEST_F(Operation, HostsAndGroupsAreAnswered) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const Attempt attempt = Rogue();
  postern().AwaitOne(attempt.pid);
  const Answer hosts = postern().Ask({"hosts"});
  EXPECT_EQ(hosts.exit_code, 0) << hosts.error;
  ASSERT_EQ(hosts.lines.size(), 1u);
  EXPECT_EQ(hosts.lines[0].value("host", ""), "lab.example.net");

  const Answer by_user = postern().Query({"--user", "www-data", "--group-by", "user,exe"});
  ASSERT_GE(by_user.lines.size(), 2u);
  EXPECT_EQ(by_user.lines[0].value("user", ""), "www-data");
  EXPECT_EQ(by_user.lines[0].value("exe", ""), Program("connect"));
  EXPECT_EQ(by_user.lines[0].value("count", 0), 1);

  EXPECT_EQ(postern().Query({"--to", internet().v4() + "/32"}).Connects().size(), 1u);
  EXPECT_EQ(postern().Query({"--to", "192.0.2.0/24"}).Connects().size(), 0u);
  EXPECT_EQ(postern().Query({"--exe", root() + "/*"}).Connects().size(), 1u);
}

}  // namespace
}  // namespace postern::lab
