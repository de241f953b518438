// SPDX-License-Identifier: Apache-2.0
// What is no outbound mail makes no noise, and is not in the way.
#include "absl/strings/str_cat.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

using nlohmann::json;

class Quiet : public Lab {
 protected:
  // A web application that hands its mail to the host's own server.
  std::string Submit(const std::string& server, const std::string& token) {
    constexpr char kSession[] = R"(
      print "pid=$$ result=OK\n";
      my $smtp = Net::SMTP->new($ARGV[0], Port => 587, Timeout => 20) or die "refused: $@\n";
      $smtp->mail('shop@lab.example.net') && $smtp->to('customer@internet.example.net') &&
        $smtp->data("Subject: $ARGV[1]\n\nThank you.\n") && $smtp->quit or die $smtp->message;)";
    auto perl =
        Start({"perl", "-MNet::SMTP", "-e", kSession, server, token}, {.uid = UidOf("www-data")});
    EXPECT_EQ(perl->Wait().value_or(-1), 0) << perl->Error();
    return perl->Output();
  }
};

TEST_F(Quiet, SubmissionToThisHostIsAllowedByRuleLocal) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  StartPostfix();
  for (const std::string& server : {postfix().loopback(), internet().own_v4()}) {
    SCOPED_TRACE(server);
    const std::string token = absl::StrCat("token-by-", server);
    const std::vector<Attempt> attempts = ParseAttempts(Submit(server, token));
    ASSERT_EQ(attempts.size(), 1u);
    const json event = postern().AwaitOne(attempts[0].pid);
    EXPECT_EQ(event.value("verdict", ""), "allowed") << event;
    EXPECT_EQ(event.value("rule", ""), "local") << event;
    EXPECT_EQ(event.value("user", ""), "www-data") << event;
    EXPECT_TRUE(Eventually([&] { return internet().Received(token) == 1; })) << postfix().Log();
  }
}

TEST_F(Quiet, AddressThatIsAddedLaterBecomesLocal) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const std::string address = "10.77.1.77";
  const Process::Options www_data = {.uid = UidOf("www-data")};
  EXPECT_EQ(AttackOnce({Program("connect"), "--nonblock", address, "25"}, www_data).result,
            "EPERM");
  auto add = Start({"ip", "address", "add", address + "/32", "dev", "lo"});
  ASSERT_EQ(add->Wait().value_or(-1), 0) << add->Error();
  EXPECT_TRUE(Eventually([&] {
    return AttackOnce({Program("connect"), address, "25"}, www_data).result == "ECONNREFUSED";
  }));
  auto remove = Start({"ip", "address", "delete", address + "/32", "dev", "lo"});
  ASSERT_EQ(remove->Wait().value_or(-1), 0) << remove->Error();
  EXPECT_TRUE(Eventually([&] {
    return AttackOnce({Program("connect"), "--nonblock", address, "25"}, www_data).result ==
           "EPERM";
  }));
}

TEST_F(Quiet, GetaddrinfoMakesNoEvent) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  // A name with several addresses, which glibc puts in order by connecting UDP sockets.
  WriteFile(root() + "/hosts", absl::StrCat(internet().v4(), " mx\n", internet().own_v4(), " mx\n",
                                            internet().v6(), " mx\n"));
  auto resolve = Start({"unshare", "-m", "sh", "-c",
                        absl::StrCat("mount --bind ", root(), "/hosts /etc/hosts && exec ",
                                     Program("resolve"), " mx 25")});
  ASSERT_EQ(resolve->Wait().value_or(-1), 0) << resolve->Error();
  EXPECT_NE(resolve->Output().find("addresses=3"), std::string::npos) << resolve->Output();
  const Attempt udp = AttackOnce({Program("connect"), "--udp", internet().v4(), "25"});
  EXPECT_EQ(udp.result, "OK");
  ASSERT_NO_FATAL_FAILURE(Fence());
  for (const json& event : postern().Query().Connects()) {
    EXPECT_NE(event.value("exe", ""), Program("resolve")) << event;
    EXPECT_NE(event.value("pid", int64_t{-1}), udp.pid) << event;
  }
}

TEST_F(Quiet, OtherPortsMakeNoEventAndPass) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const Attempt other =
      AttackOnce({Program("connect"), internet().v4(), "2526"}, {.uid = UidOf("www-data")});
  EXPECT_EQ(other.result, "ECONNREFUSED");
  ASSERT_NO_FATAL_FAILURE(Fence());
  for (const json& event : postern().Query().Connects()) {
    EXPECT_NE(event.value("pid", int64_t{-1}), other.pid) << event;
  }
}

}  // namespace
}  // namespace postern::lab
