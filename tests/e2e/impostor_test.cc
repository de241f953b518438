// SPDX-License-Identifier: Apache-2.0
// Those who run as user postfix, or make themselves look like Postfix's smtp(8),
// are denied, and shown as what they are.
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

using nlohmann::json;

class Impostor : public Lab {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Lab::SetUp());
    if (IsSkipped()) return;
    uid_ = UidOf("postfix");
    uid_text_ = std::to_string(uid_);
    to_ = internet().v4();
  }

  // A program that connects from inside `program`, which any user can do.
  Attempt Preload(const std::string& program) {
    return AttackOnce({program}, {.environment = {{"LD_PRELOAD", Program("preload.so")},
                                                  {"ATTACK_ADDRESS", to_},
                                                  {"ATTACK_PORT", "25"}},
                                  .uid = uid_});
  }

  void ExpectDenied(const Attempt& attempt, const std::string& exe,
                    const std::string& identity = "exec") {
    EXPECT_EQ(attempt.result, "EPERM");
    const json event = postern().AwaitOne(attempt.pid);
    EXPECT_EQ(event.value("verdict", ""), "denied") << event;
    EXPECT_EQ(event.value("rule", ""), "default") << event;
    EXPECT_EQ(event.value("user", ""), "postfix") << event;
    EXPECT_EQ(event.value("exe", ""), exe) << event;
    EXPECT_EQ(event.value("identity", ""), identity) << event;
  }

  // User and binary, but not how it was started.
  std::string RuleFor(const std::string& exe) const {
    return absl::StrCat("  - name: postfix\n    user: postfix\n    exe: ", exe,
                        "\n    action: allow\n");
  }

  uid_t uid_ = 0;
  std::string uid_text_;
  std::string to_;
};

TEST_F(Impostor, OwnBinaryOfUserPostfixIsDenied) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  ExpectDenied(AttackOnce({Program("connect"), to_, "25"}, {.uid = uid_}), Program("connect"));
}

TEST_F(Impostor, CopyOfSmtpIsDenied) {
  // The original passes under this rule, so it is the copy that is denied.
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce", RuleFor(smtp())));
  EXPECT_EQ(Preload(smtp()).result, "OK");
  const std::string copy = root() + "/smtp";
  std::filesystem::copy_file(smtp(), copy);
  ExpectDenied(Preload(copy), copy);
}

TEST_F(Impostor, SmtpUnderPreloadIsDeniedByHowItWasStarted) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  ExpectDenied(Preload(smtp()), smtp());
}

TEST_F(Impostor, LinkForgedInAUserNamespaceIsDenied) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce", RuleFor(smtp())));
  ExpectDenied(AttackOnce({Program("forge_exe"), "self", uid_text_, smtp(), to_, "25"}),
               Program("forge_exe"));
}

TEST_F(Impostor, LinkForgedByAChildThatSharesMemoryIsDenied) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce", RuleFor(smtp())));
  ExpectDenied(AttackOnce({Program("forge_exe"), "child", uid_text_, smtp(), to_, "25"}),
               Program("forge_exe"));
}

TEST_F(Impostor, LinkForgedBeforeTheAgentStartedIsDenied) {
  auto forged =
      Start({Program("forge_exe"), "child", uid_text_, smtp(), to_, "25", "wait"}, {.input = true});
  ASSERT_TRUE(Eventually([&] {
    return forged->Output().find("exe=" + smtp()) != std::string::npos;
  })) << forged->Error();
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce", RuleFor(smtp())));
  EXPECT_TRUE(forged->SendInput("go\n"));
  ASSERT_EQ(forged->Wait().value_or(-1), 0) << forged->Error();
  const std::vector<Attempt> attempts = ParseAttempts(forged->Output());
  ASSERT_EQ(attempts.size(), 1u);
  // Nobody saw its exec: what it shows is shown, and said to be unproven.
  ExpectDenied(attempts[0], smtp(), "seeded");
}

TEST_F(Impostor, BinaryBoundOverTheAllowedPathIsDenied) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce", RuleFor(smtp())));
  for (const char* way : {"root", "userns"}) {
    SCOPED_TRACE(way);
    ExpectDenied(
        AttackOnce({Program("bind_over"), way, uid_text_, Program("connect"), smtp(), to_, "25"}),
        Program("connect"));
  }
}

TEST_F(Impostor, StartedBeforeTheAgentIsSeededAndDenied) {
  auto early = Start({Program("connect"), "--wait", to_, "25"}, {.uid = uid_, .input = true});
  ASSERT_TRUE(Eventually([&] { return early->Output().find("ready") != std::string::npos; }));
  // Its user and its binary are allowed, as one that starts later proves.
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce", RuleFor(Program("connect"))));
  const Attempt late = AttackOnce({Program("connect"), to_, "25"}, {.uid = uid_});
  EXPECT_EQ(late.result, "OK");
  EXPECT_EQ(postern().AwaitOne(late.pid).value("rule", ""), "postfix");
  EXPECT_TRUE(early->SendInput("go\n"));
  ASSERT_EQ(early->Wait().value_or(-1), 0) << early->Error();
  const std::vector<Attempt> attempts = ParseAttempts(early->Output());
  ASSERT_EQ(attempts.size(), 1u);
  ExpectDenied(attempts[0], Program("connect"), "seeded");
}

TEST_F(Impostor, ContainersAndUserNamespacesMatchNoRuleOnUserOrBinary) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce", RuleFor(Program("connect"))));
  EXPECT_EQ(AttackOnce({Program("connect"), "--uid=" + uid_text_, to_, "25"}).result, "OK");
  for (const char* place : {"--userns", "--container"}) {
    EXPECT_EQ(AttackOnce({Program("connect"), "--uid=" + uid_text_, place, to_, "25"}).result,
              "EPERM")
        << place;
  }
}

}  // namespace
}  // namespace postern::lab
