// SPDX-License-Identifier: Apache-2.0
// That the lab is what the other tests take it for: without Postern every mail
// arrives, and every attack succeeds.
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

class WithoutPostern : public Lab {};

TEST_F(WithoutPostern, MailIsDelivered) {
  StartPostfix();
  postfix().Send("token-of-the-lab");
  EXPECT_TRUE(Eventually([&] { return internet().Received("token-of-the-lab") == 1; }))
      << postfix().Log();
  EXPECT_FALSE(postfix().Senders().empty());
}

TEST_F(WithoutPostern, VerifyProbesReachTheNextHop) {
  StartPostfix();
  EXPECT_EQ(postfix().ProbeRecipient("someone@internet.example.net").substr(0, 3), "250");
}

TEST_F(WithoutPostern, WebShellConnects) {
  StartPhp();
  for (const char* way : {"fsockopen", "async"}) {
    const std::vector<Attempt> attempts = ParseAttempts(
        php().Request("port=25&address=" + internet().v4() + "&way=" + std::string(way)));
    ASSERT_EQ(attempts.size(), 1u) << way;
    EXPECT_EQ(attempts[0].result, "OK") << way;
  }
}

TEST_F(WithoutPostern, EveryPortAnswersOverBothFamilies) {
  for (const std::string& address : {internet().v4(), internet().v6()}) {
    for (const char* port : {"25", "465", "587"}) {
      EXPECT_EQ(AttackOnce({Program("connect"), address, port}).result, "OK")
          << address << " " << port;
    }
  }
}

TEST_F(WithoutPostern, EveryImpostorConnects) {
  const std::string uid = std::to_string(UidOf("postfix"));
  const std::string to = internet().v4();
  const std::vector<std::vector<std::string>> attacks = {
      {Program("connect"), "--uid=" + uid, to, "25"},
      {Program("forge_exe"), "self", uid, smtp(), to, "25"},
      {Program("forge_exe"), "child", uid, smtp(), to, "25"},
      {Program("bind_over"), "root", uid, Program("connect"), smtp(), to, "25"},
      {Program("bind_over"), "userns", uid, Program("connect"), smtp(), to, "25"},
      {"perl", Program("bot.pl"), to, "25"},
      {Program("hostile_argv"), Program("connect"), to, "25"},
  };
  for (const std::vector<std::string>& attack : attacks) {
    EXPECT_EQ(AttackOnce(attack).result, "OK") << attack[0];
  }
  EXPECT_EQ(AttackOnce({smtp()}, {.environment = {{"LD_PRELOAD", Program("preload.so")},
                                                  {"ATTACK_ADDRESS", to},
                                                  {"ATTACK_PORT", "25"}},
                                  .uid = UidOf("postfix")})
                .result,
            "OK");
}

}  // namespace
}  // namespace postern::lab
