// SPDX-License-Identifier: Apache-2.0
// Mail of the host's own Postfix goes on, whatever Postern does to others.
#include <filesystem>

#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

using nlohmann::json;

class RealPostfix : public Lab {
 protected:
  // Enforcing before Postfix starts, as on a host that boots.
  void StartEnforced() {
    ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
    StartPostfix();
  }

  // Sends a mail, and waits until the sink has it.
  void Deliver(const std::string& token) {
    postfix().Send(token);
    EXPECT_TRUE(Eventually([&] { return internet().Received(token) > 0; })) << postfix().Log();
    EXPECT_EQ(internet().Received(token), 1u);
  }

  std::vector<json> AwaitSmtp(size_t count) {
    return postern().Await([this](const json& event) { return event.value("exe", "") == smtp(); },
                           count);
  }

  void ExpectAllowed(const json& event) {
    EXPECT_EQ(event.value("verdict", ""), "allowed") << event;
    EXPECT_EQ(event.value("rule", ""), "postfix") << event;
    EXPECT_EQ(event.value("user", ""), "postfix") << event;
    EXPECT_EQ(event.value("identity", ""), "exec") << event;
    EXPECT_EQ(event.value("destination", ""), internet().v4()) << event;
    EXPECT_EQ(event.value("port", 0), 25) << event;
  }
};

TEST_F(RealPostfix, DeliversAndIsAllowedByItsRule) {
  ASSERT_NO_FATAL_FAILURE(StartEnforced());
  Deliver("token-of-a-delivery");
  for (const json& event : AwaitSmtp(1)) ExpectAllowed(event);
}

TEST_F(RealPostfix, DeliversAfterReload) {
  ASSERT_NO_FATAL_FAILURE(StartEnforced());
  Deliver("token-before-reload");
  postfix().Command("reload");
  Deliver("token-after-reload");
  for (const json& event : AwaitSmtp(2)) ExpectAllowed(event);
}

TEST_F(RealPostfix, VerifyProbesAreAllowed) {
  ASSERT_NO_FATAL_FAILURE(StartEnforced());
  EXPECT_EQ(postfix().ProbeRecipient("someone@internet.example.net").substr(0, 3), "250")
      << postfix().Log();
  for (const json& event : AwaitSmtp(1)) ExpectAllowed(event);
}

TEST_F(RealPostfix, DeliversBesideTwentyThousandSleepingProcesses) {
  ASSERT_NO_FATAL_FAILURE(StartEnforced());
  auto sleepers = Start({Program("sleepers"), "20000", std::to_string(UidOf("www-data")), "120"},
                        {.input = true});
  ASSERT_TRUE(Eventually([&] { return sleepers->Output() == "started=20000 result=OK\n"; }))
      << sleepers->Output() << sleepers->Error();
  // New processes of Postfix, which must find room in the table of processes.
  postfix().Command("reload");
  Deliver("token-beside-sleepers");
  for (const json& event : AwaitSmtp(1)) ExpectAllowed(event);
  EXPECT_EQ(Rogue().result, "EPERM");
  sleepers->CloseInput();
  EXPECT_EQ(sleepers->Wait().has_value(), true);
}

TEST_F(RealPostfix, UpgradeByRenameGoesOnWithoutADenial) {
  UseCopyOfPostfix();
  ASSERT_NO_FATAL_FAILURE(StartEnforced());
  Deliver("token-before-upgrade");
  // As dpkg does it: the new file beside the old, then renamed over it.
  std::filesystem::copy_file(smtp(), smtp() + ".dpkg-new");
  std::filesystem::rename(smtp() + ".dpkg-new", smtp());
  postfix().Command("reload");
  Deliver("token-after-upgrade");
  const std::vector<json> events = AwaitSmtp(2);
  for (const json& event : events) ExpectAllowed(event);
  EXPECT_NE(events.front()["pid"], events.back()["pid"]) << "smtp was not started anew";
}

TEST_F(RealPostfix, StartedBeforeTheAgentIsNamedAndDeliversAfterReload) {
  StartPostfix();
  Deliver("token-before-the-agent");
  ASSERT_EQ(postfix().Senders().size(), 1u);
  const pid_t sender = postfix().Senders()[0];
  ASSERT_NO_FATAL_FAILURE(StartPostern("monitor"));
  Deliver("token-in-monitor");
  const json seeded = postern().AwaitOne(sender);
  EXPECT_EQ(seeded.value("identity", ""), "seeded") << seeded;
  EXPECT_EQ(seeded.value("verdict", ""), "would_deny") << seeded;

  const Answer answer = postern().Ask({"mode", "enforce"});
  EXPECT_EQ(answer.exit_code, 0) << answer.error;
  ASSERT_FALSE(answer.lines.empty());
  bool named = false;
  for (const json& restart : answer.lines[0].value("restart_first", json::array())) {
    named = named || restart.value("pid", 0) == sender;
  }
  EXPECT_TRUE(named) << answer.lines[0];

  postfix().Command("reload");
  Deliver("token-after-reload");
  ExpectAllowed(AwaitSmtp(2).back());
}

}  // namespace
}  // namespace postern::lab
