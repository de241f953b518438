// SPDX-License-Identifier: Apache-2.0
// A host on which a packet filter decides about mail too: it is named, with what
// it means, and that is true. The agent runs in the lab's network namespace, so
// that no rule of the test reaches the host's own.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/unique_fd.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

using nlohmann::json;

class Coexistence : public Lab {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Lab::SetUp());
    if (IsSkipped()) return;
    network_ = "/run/netns/" + Internet::NamespaceName(getpid());
    namespace_.reset(open(network_.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(namespace_.valid());
  }

  void TearDown() override {
    // A namespace lives as long as somebody has it open.
    namespace_.reset();
    Lab::TearDown();
  }

  // Runs it in the namespace.
  void Root(const std::string& words) {
    const support::Finished done =
        support::RunToEnd(absl::StrSplit(words, ' '), {.network_namespace = namespace_.get()});
    ASSERT_EQ(done.exit_code, 0) << words << ": " << done.error;
  }

  void StartThere() {
    AgentConfig config;
    config.mode = "enforce";
    config.rules = "  - name: web\n    user: www-data\n    action: allow\n";
    postern().Configure(config);
    ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent({"nsenter", "--net=" + network_}));
  }

  Attempt Connect(const std::string& user) {
    return AttackOnce({Program("connect"), internet().v4(), "25"},
                      {.uid = UidOf(user), .network_namespace = namespace_.get()});
  }

  // Notes that speak of a rule of `tool`.
  std::vector<std::string> RuleNotes(const std::string& tool) {
    std::vector<std::string> found;
    for (const json& note : postern().Status().value("notes", json::array())) {
      const std::string text = note.get<std::string>();
      if (absl::StartsWith(text, tool + " rule in ")) found.push_back(text);
    }
    return found;
  }

  std::string network_;
  UniqueFd namespace_;
};

TEST_F(Coexistence, NftOwnerRuleIsNamedAndMeansWhatIsSaid) {
  const std::string rules = root() + "/mail.nft";
  WriteFile(rules,
            "table inet mailguard {\n  set mailports {\n    type inet_service\n"
            "    elements = { 25, 465, 587 }\n  }\n  chain out {\n"
            "    type filter hook output priority filter; policy accept;\n"
            "    meta skuid != postfix tcp dport @mailports counter reject with tcp reset\n  }\n"
            "  chain in {\n    type filter hook input priority filter; policy accept;\n"
            "    tcp dport 465 drop\n  }\n}\n");
  ASSERT_NO_FATAL_FAILURE(StartThere());
  EXPECT_EQ(Connect("www-data").result, "OK");
  EXPECT_EQ(RuleNotes("nft").size(), 0u);

  ASSERT_NO_FATAL_FAILURE(Root("nft -f " + rules));
  postern().agent().Signal(SIGHUP);
  std::vector<std::string> notes;
  EXPECT_TRUE(Eventually([&] {
    notes = RuleNotes("nft");
    return !notes.empty();
  })) << postern().Status();
  ASSERT_EQ(notes.size(), 1u) << postern().Status()["notes"];
  EXPECT_TRUE(absl::StartsWith(notes[0], "nft rule in inet mailguard out: `meta skuid != "))
      << notes[0];
  EXPECT_TRUE(absl::StrContains(notes[0], "an event `allowed` does not mean that mail left"))
      << notes[0];
  EXPECT_TRUE(absl::StrContains(postern().agent_log(), notes[0])) << postern().agent_log();
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 0) << "a note is no problem";

  // Just so: Postern lets it pass, the packet filter does not.
  const Attempt stopped = Connect("www-data");
  EXPECT_EQ(stopped.result, "ECONNREFUSED");
  EXPECT_EQ(postern().AwaitOne(stopped.pid).value("verdict", ""), "allowed");
  // And whom the packet filter would let pass needs Postern's word all the same.
  EXPECT_EQ(Connect("postfix").result, "EPERM");
}

TEST_F(Coexistence, IptablesRulesAreNamedOnceAtTheStartAndUntilTheyAreGone) {
  const std::string rule =
      " OUTPUT -p tcp -m multiport --dports 25,465,587 -m owner ! --uid-owner postfix -j REJECT";
  ASSERT_NO_FATAL_FAILURE(Root("iptables -A" + rule));
  ASSERT_NO_FATAL_FAILURE(StartThere());
  EXPECT_TRUE(Eventually([&] { return !RuleNotes("iptables").empty(); })) << postern().Status();
  EXPECT_EQ(RuleNotes("iptables").size(), 1u) << postern().Status()["notes"];
  EXPECT_EQ(RuleNotes("nft").size(), 0u) << postern().Status()["notes"];

  ASSERT_NO_FATAL_FAILURE(Root("iptables -D" + rule));
  postern().agent().Signal(SIGHUP);
  EXPECT_TRUE(Eventually([&] { return RuleNotes("iptables").empty(); })) << postern().Status();
}

}  // namespace
}  // namespace postern::lab
