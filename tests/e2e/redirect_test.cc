// SPDX-License-Identifier: Apache-2.0
// Programs that speak SMTP themselves, by way of the host's own Postfix.
#include <gmock/gmock.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

// The address that redirects go to, with the limits of docs/policy.md.
constexpr char kSmtpd[] = R"(127.0.0.1:25 inet n - y - - smtpd
  -o smtpd_client_event_limit_exceptions=
  -o smtpd_client_message_rate_limit=2
)";

class Redirect : public Lab {
 protected:
  void StartRedirecting(const std::string& mode) {
    ASSERT_NO_FATAL_FAILURE(StartPostern(
        mode, absl::StrCat(DefaultRules(smtp()),
                           "  - name: plugins\n    port: 25\n    action: redirect\n")));
    StartPostfix(kSmtpd);
  }

  struct Mail {
    pid_t pid = -1;
    std::string peer;   // as the plugin saw it
    std::string reply;  // the last one it got
  };
  // A plugin of www-data's that takes a server of the internet for its own.
  Mail SendByPlugin(const std::string& token) {
    constexpr char kPlugin[] = R"(
      my $smtp = Net::SMTP->new($ARGV[0], Timeout => 20) or die "no answer: $@\n";
      print $smtp->peerhost, "\n";
      if ($smtp->mail('shop@lab.example.net') && $smtp->to('someone@internet.example.net') &&
          $smtp->data()) {
        $smtp->datasend("Subject: $ARGV[1]\n\nOf a plugin.\n");
        $smtp->dataend();
      }
      print $smtp->code, " ", $smtp->message;
      $smtp->quit;)";
    auto perl = Start({"perl", "-MNet::SMTP", "-e", kPlugin, internet().v4(), token},
                      {.uid = UidOf("www-data")});
    EXPECT_EQ(perl->Wait(2 * support::kPatience).value_or(-1), 0) << perl->Error();
    const std::string output = perl->Output();
    const size_t line = output.find('\n');
    return {perl->pid(), output.substr(0, line),
            line < output.size() ? output.substr(line + 1) : ""};
  }

  json ExpectRedirected(int64_t pid) {
    const json event = postern().AwaitOne(pid);
    EXPECT_EQ(event.value("verdict", ""), "redirected") << event;
    EXPECT_EQ(event.value("rule", ""), "plugins") << event;
    EXPECT_EQ(event.value("user", ""), "www-data") << event;
    EXPECT_EQ(event.value("destination", ""), internet().v4()) << event;
    EXPECT_EQ(event.value("port", 0), 25) << event;
    return event;
  }
};

TEST_F(Redirect, PluginsMailGoesThroughPostfixAndItsLimits) {
  ASSERT_NO_FATAL_FAILURE(StartRedirecting("enforce"));
  for (const std::string token : {"token-of-a-plugin", "token-of-another"}) {
    const Mail mail = SendByPlugin(token);
    EXPECT_THAT(mail.reply, HasSubstr("queued as"));
    EXPECT_EQ(mail.peer, internet().v4());
    ExpectRedirected(mail.pid);
    // Postfix itself delivers it, past the rule that redirects everybody.
    EXPECT_TRUE(Eventually([&] { return internet().Received(token) == 1; })) << postfix().Log();
  }
  EXPECT_THAT(postfix().Log(), ContainsRegex("smtpd.*: client=[^ ]*\\[127\\.0\\.0\\.1\\]"));
  const std::vector<json> delivered =
      postern().Await([this](const json& event) { return event.value("exe", "") == smtp(); });
  for (const json& event : delivered) {
    EXPECT_EQ(event.value("verdict", ""), "allowed") << event;
    EXPECT_EQ(event.value("rule", ""), "postfix") << event;
  }

  const Mail third = SendByPlugin("token-past-the-limit");
  EXPECT_THAT(third.reply, HasSubstr("too much mail from 127.0.0.1"));
  ExpectRedirected(third.pid);
  EXPECT_EQ(internet().Received("token-past-the-limit"), 0u);
}

class RedirectedShell : public Redirect, public testing::WithParamInterface<const char*> {};

TEST_P(RedirectedShell, SeesTheAddressItAskedFor) {
  ASSERT_NO_FATAL_FAILURE(StartRedirecting("enforce"));
  StartPhp();
  const std::vector<Attempt> attempts = ParseAttempts(
      php().Request("port=25&address=" + internet().v4() + "&way=" + std::string(GetParam())));
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(attempts[0].result, "OK");
  EXPECT_EQ(attempts[0].fields.at("peer"), internet().v4() + ":25");
  const json event = ExpectRedirected(attempts[0].pid);
  EXPECT_EQ(event.value("exe", ""), php().binary()) << event;
  EXPECT_TRUE(Eventually([&] { return absl::StrContains(postfix().Log(), "[127.0.0.1]"); }));
}
INSTANTIATE_TEST_SUITE_P(EveryWay, RedirectedShell, testing::Values("fsockopen", "async"));

TEST_F(Redirect, MonitorOnlySaysWhatItWouldRedirect) {
  ASSERT_NO_FATAL_FAILURE(StartRedirecting("monitor"));
  const Mail mail = SendByPlugin("token-in-monitor");
  EXPECT_EQ(mail.peer, internet().v4());
  EXPECT_EQ(internet().Received("token-in-monitor"), 1u);
  EXPECT_EQ(postern().AwaitOne(mail.pid).value("verdict", ""), "would_redirect");
  EXPECT_EQ(postfix().Log().find("client="), std::string::npos) << postfix().Log();
  EXPECT_EQ(postern().Status().at("counters").at("would_redirect"), 1);
}

}  // namespace
}  // namespace postern::lab
