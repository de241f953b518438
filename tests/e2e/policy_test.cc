// SPDX-License-Identifier: Apache-2.0
// Policies looked at, tried on what was recorded, and learned from it.
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

using nlohmann::json;

class Policy : public Lab {
 protected:
  std::string Collector() const {
    return absl::StrCat("unix:", root(), "/postern/collector/query.sock");
  }

  static json Last(const Answer& answer, const std::string& kind) {
    json found;
    for (const json& line : answer.lines) {
      if (line.value("kind", "") == kind) found = line;
    }
    return found;
  }

  // Rule `shop` before the usual ones.
  std::string WriteShop(const std::string& user) {
    const std::string file = root() + "/new.yaml";
    WriteFile(file, absl::StrCat("mode: enforce\nrules:\n  - name: shop\n    user: ", user,
                                 "\n    action: allow\n", DefaultRules(smtp()), "default: deny\n"));
    return file;
  }
};

TEST_F(Policy, ShowHasWhatTheKernelHoldsAndItsHits) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const auto rule = [this](const std::string& name) {
    for (const json& line : postern().Ask({"policy", "show"}).lines) {
      if (line.value("rule", "") == name) return line;
    }
    return json();
  };
  const Answer before = postern().Ask({"policy", "show"});
  EXPECT_EQ(before.exit_code, 0) << before.error;
  const json policy = Last(before, "policy");
  EXPECT_EQ(policy.value("mode", ""), "enforce");
  EXPECT_EQ(policy.value("differences", json()), json::array());
  EXPECT_EQ(policy.value("config_file", ""), postern().config_file());
  EXPECT_EQ(rule("postfix")["fields"]["exe"][0], smtp());
  const uint64_t hits = policy.value("default_hits", uint64_t{0});
  const uint64_t local = rule("local").value("hits", uint64_t{0});
  EXPECT_EQ(Rogue().result, "EPERM");
  AttackOnce({Program("connect"), "--uid=33", internet().own_v4(), "25"});
  const json after = Last(postern().Ask({"policy", "show"}), "policy");
  EXPECT_GE(after.value("default_hits", uint64_t{0}), hits + 1);
  EXPECT_GE(rule("local").value("hits", uint64_t{0}), local + 1);
}

TEST_F(Policy, WouldTellsWhatAnotherPolicyChangesOfTheCollectorsRecord) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const Attempt attempt = Rogue();
  postern().AwaitOne(attempt.pid);
  const int64_t generation = postern().Status().value("generation", int64_t{0});
  const Answer would = postern().Ask({"policy", "would", "--file", WriteShop("www-data"), "--since",
                                      "1h", "--collector", Collector()});
  json found;
  for (const json& line : would.lines) {
    if (line.value("user", "") == "www-data" && line.value("exe", "") == Program("connect")) {
      found = line;
    }
  }
  EXPECT_EQ(found.value("verdict", ""), "denied") << would.error;
  EXPECT_EQ(found.value("rule", ""), "default");
  EXPECT_EQ(found["would"].value("verdict", ""), "allowed");
  EXPECT_EQ(found["would"].value("rule", ""), "shop");
  EXPECT_EQ(found.value("destination", ""), internet().v4());
  EXPECT_GE(Last(would, "would").value("changed", 0), 1);
  // Nothing of it is in force.
  EXPECT_EQ(postern().Status().value("generation", int64_t{0}), generation);
  EXPECT_EQ(Rogue().result, "EPERM");

  const Answer refused = postern().Ask(
      {"policy", "would", "--file", WriteShop("no-such-user"), "--collector", Collector()});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(Last(refused, "would")["findings"].dump(), "new.yaml:4: "))
      << Last(refused, "would");
}

// What a sender was allowed by the policy that was proposed from its attempts, it is
// once that is in force.
TEST_F(Policy, WhatIsLearnedFromTheSpoolIsAcceptedAndLetsTheSenderThrough) {
  AgentConfig config;
  config.mode = "enforce";
  config.rules = DefaultRules(smtp());
  config.collector = false;
  postern().Configure(config);
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  EXPECT_EQ(Rogue().result, "EPERM");
  // The same as a script of an interpreter: never to be proposed.
  AttackOnce({"/usr/bin/perl", Program("bot.pl"), internet().v4(), "25"},
             {.uid = UidOf("www-data")});
  Answer learned;
  json rogue, perl;
  EXPECT_TRUE(Eventually([&] {
    learned = postern().Ask({"policy", "learn", "--since", "1h"});
    for (const json& line : learned.lines) {
      if (line.value("user", "") != "www-data") continue;
      if (line.value("exe", "") == Program("connect")) rogue = line;
      if (absl::StartsWith(line.value("exe", ""), "/usr/bin/perl")) perl = line;
    }
    return !rogue.is_null() && !perl.is_null();
  })) << learned.error;
  EXPECT_EQ(Last(learned, "learn").value("source", ""), "the agent's spool");
  EXPECT_EQ(rogue.value("proposed", false), true) << rogue;
  EXPECT_EQ(rogue["rule"].value("exe", ""), Program("connect"));
  EXPECT_EQ(perl.value("proposed", true), false) << perl;

  const std::string binaries = std::filesystem::path(postern().posternd()).parent_path();
  const support::Finished yaml =
      support::RunToEnd({binaries + "/postern", "policy", "learn", "--since", "1h", "--agent",
                         absl::StrCat("unix:", postern().run_dir(), "/admin.sock")});
  const std::string file = root() + "/proposal.yaml";
  WriteFile(file, yaml.output);
  const support::Finished checked = postern().RunAgent({"--check-config", file});
  EXPECT_EQ(checked.exit_code, 0) << yaml.output << checked.output << checked.error;

  std::string text = ReadFile(postern().config_file());
  text.replace(text.find("ports:"), text.find("state_dir:") - text.find("ports:"), yaml.output);
  WriteFile(postern().config_file(), text);
  EXPECT_EQ(postern().Ask({"policy", "reload"}).exit_code, 0) << text;
  EXPECT_EQ(Rogue().result, "OK");
}

}  // namespace
}  // namespace postern::lab
