// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_question.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/policy/loader.h"

namespace postern::agent {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class PolicyQuestionTest : public testing::Test {
 protected:
  absl::StatusOr<v1::TestPolicyResponse> Ask(const std::string& user, const std::string& to,
                                             const std::string& exe = "",
                                             const std::string& unit = "",
                                             const std::string& script = "") {
    const auto loaded = policy::LoadConfig("agent.yaml", config_, *host_);
    if (!loaded.ok()) return absl::InternalError("the test's own configuration is refused");
    const auto identify = [](const std::string& path) -> absl::StatusOr<policy::BinaryId> {
      if (path != "/usr/bin/env" && path != "/etc/passwd")
        return absl::NotFoundError(path + " does not exist");
      return policy::BinaryId{.device = 1, .path = {.high = 1, .low = 2}};
    };
    const auto compiled = policy::Compile(*loaded.config, identify);
    if (!compiled.ok()) return compiled.status();
    v1::TestPolicyRequest request;
    request.set_user(user);
    request.set_to(to);
    request.set_exe(exe);
    request.set_unit(unit);
    request.set_script(script);
    const auto question = ReadQuestion(request, *host_, {}, identify);
    if (!question.ok()) return question.status();
    return AnswerQuestion(*question, *loaded.config, *compiled);
  }

  const std::unique_ptr<policy::Host> host_ = policy::RealHost();
  std::string config_ =
      "mode: enforce\n"
      "rules:\n"
      "  - {name: env, user: root, exe: /usr/bin/env, action: allow}\n"
      "  - {name: local, destination: local, action: allow}\n"
      "default: deny\n";
};

TEST_F(PolicyQuestionTest, TheRuleThatDecidesIsNamedWithReasons) {
  const auto allowed = Ask("root", "192.0.2.1:25", "/usr/bin/env");
  ASSERT_TRUE(allowed.ok()) << allowed.status();
  EXPECT_EQ(allowed->verdict(), v1::Event::ALLOWED);
  EXPECT_EQ(allowed->rule(), "env");
  EXPECT_THAT(allowed->reasons(), Not(IsEmpty()));
  const auto denied = Ask("nobody", "192.0.2.1:25", "/usr/bin/env");
  ASSERT_TRUE(denied.ok()) << denied.status();
  EXPECT_EQ(denied->verdict(), v1::Event::DENIED);
  EXPECT_EQ(denied->rule(), "default");
}

TEST_F(PolicyQuestionTest, AFileThatIsNoProgramIsCalledThatAndNotWritable) {
  const auto denied = Ask("root", "192.0.2.1:25", "/etc/passwd");
  ASSERT_TRUE(denied.ok()) << denied.status();
  EXPECT_EQ(denied->verdict(), v1::Event::DENIED);
  EXPECT_EQ(denied->reasons(0), "rule env: /etc/passwd is not executable, which proves nothing");
}

TEST_F(PolicyQuestionTest, InMonitorModeItWouldBeDenied) {
  config_.replace(0, 13, "mode: monitor");
  EXPECT_EQ(Ask("nobody", "192.0.2.1:25")->verdict(), v1::Event::WOULD_DENY);
}

TEST_F(PolicyQuestionTest, ARedirectIsAnsweredAsOneWhereItIsDone) {
  config_ =
      "mode: enforce\n"
      "rules:\n"
      "  - {name: plugins, user: nobody, port: 25, action: redirect}\n";
  EXPECT_EQ(Ask("nobody", "192.0.2.1:25")->verdict(), v1::Event::REDIRECTED);
  EXPECT_EQ(Ask("nobody", "192.0.2.1:25")->rule(), "plugins");
  EXPECT_EQ(Ask("nobody", "127.0.0.1:25")->verdict(), v1::Event::ALLOWED);
  EXPECT_THAT(Ask("nobody", "127.0.0.1:25")->reasons(0), HasSubstr("goes to this host already"));
  EXPECT_EQ(Ask("nobody", "192.0.2.1:587")->verdict(), v1::Event::DENIED);
  config_.replace(0, 13, "mode: monitor");
  EXPECT_EQ(Ask("nobody", "192.0.2.1:25")->verdict(), v1::Event::WOULD_REDIRECT);
}

TEST_F(PolicyQuestionTest, LoopbackAndUnspecifiedAreLocal) {
  for (const char* to : {"127.0.0.1:25", "127.9.9.9:25", "0.0.0.0:25", "[::1]:25", "[::]:25"}) {
    EXPECT_EQ(Ask("nobody", to)->rule(), "local") << to;
  }
  EXPECT_EQ(Ask("nobody", "[::2]:25")->rule(), "default");
}

TEST_F(PolicyQuestionTest, APortThatIsNotWatchedIsNotJudged) {
  const auto answer = Ask("nobody", "192.0.2.1:80");
  EXPECT_EQ(answer->verdict(), v1::Event::ALLOWED);
  EXPECT_EQ(answer->rule(), "");
  EXPECT_THAT(answer->reasons(0), HasSubstr("port 80"));
}

TEST_F(PolicyQuestionTest, ARuleOnAUnitIsJudgedByTheOneThatIsNamed) {
  config_ =
      "mode: enforce\n"
      "rules:\n"
      "  - {name: cron, user: root, unit: /system.slice/cron.service, action: allow}\n"
      "default: deny\n";
  const auto ask = [&](const std::string& unit) { return Ask("root", "192.0.2.1:25", "", unit); };
  EXPECT_EQ(ask("/system.slice/cron.service")->rule(), "cron");
  EXPECT_THAT(ask("/system.slice/cron.service")->reasons(0), Not(HasSubstr(", if its unit is")));
  EXPECT_EQ(ask("/system.slice/ssh.service")->rule(), "default");
  EXPECT_THAT(ask("/system.slice/ssh.service")->reasons(0),
              HasSubstr("unit /system.slice/ssh.service is not /system.slice/cron.service"));
  EXPECT_THAT(ask("")->reasons(0), HasSubstr(", if its unit is /system.slice/cron.service"));
  for (const char* unit : {"cron.service", "/system.slice/*"}) {
    EXPECT_THAT(std::string(ask(unit).status().message()), HasSubstr("--unit: ")) << unit;
  }
}

TEST_F(PolicyQuestionTest, ARuleOnAScriptIsJudgedByTheOneThatIsNamed) {
  config_ =
      "mode: enforce\n"
      "rules:\n"
      "  - {name: shop, user: root, script: /srv/shop.pl, action: allow}\n"
      "default: deny\n";
  const auto ask = [&](const std::string& script) {
    return Ask("root", "192.0.2.1:25", "", "", script);
  };
  EXPECT_EQ(ask("/srv/shop.pl")->rule(), "shop");
  EXPECT_EQ(ask("/srv/bot.pl")->rule(), "default");
  EXPECT_THAT(ask("/srv/bot.pl")->reasons(0), HasSubstr("script /srv/bot.pl is not /srv/shop.pl"));
  EXPECT_THAT(ask("")->reasons(0), HasSubstr(", if its script is /srv/shop.pl"));
  EXPECT_THAT(std::string(ask("shop.pl").status().message()), HasSubstr("--script: "));
}

TEST_F(PolicyQuestionTest, WhatCannotBeUnderstoodIsNamed) {
  EXPECT_THAT(std::string(Ask("no-such-user", "192.0.2.1:25").status().message()),
              HasSubstr("no-such-user"));
  for (const char* to :
       {"192.0.2.1", "192.0.2.1:", "192.0.2.1:70000", "192.0.2.1:0", "host:25", "[::1:25", ""}) {
    const auto answer = Ask("root", to);
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kInvalidArgument) << to;
    EXPECT_THAT(std::string(answer.status().message()), HasSubstr("--to")) << to;
  }
  EXPECT_THAT(std::string(Ask("root", "192.0.2.1:25", "/nonexistent").status().message()),
              HasSubstr("--exe"));
}

}  // namespace
}  // namespace postern::agent
