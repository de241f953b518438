// SPDX-License-Identifier: Apache-2.0
#include "agent/coexist/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace postern::coexist {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Ports kMail = {25, 465, 587};

TEST(CsfTest, SmtpBlockIsNamedWithWhoPasses) {
  const std::string text =
      "# Block outgoing SMTP except for some users\n"
      "SMTP_BLOCK = \"1\"\nSMTP_ALLOWLOCAL = \"1\"\nSMTP_REDIRECT = \"0\"\n"
      "SMTP_PORTS = \"25,465,587\"\nSMTP_ALLOWUSER = \"cpanel\"\n"
      "SMTP_ALLOWGROUP = \"mail,mailman\"\nSMTPAUTH_RESTRICT = \"0\"\n";
  EXPECT_THAT(
      CsfNotes(text, "/etc/csf/csf.conf"),
      ElementsAre(AllOf(HasSubstr("CSF (/etc/csf/csf.conf) has SMTP_BLOCK on for ports "
                                  "25,465,587: root, users cpanel, groups mail,mailman pass"),
                        HasSubstr("rejected, after Postern has judged"))));
}

TEST(CsfTest, RedirectAndOffAreTold) {
  EXPECT_THAT(CsfNotes("SMTP_BLOCK=\"1\"\nSMTP_REDIRECT = \"1\"\n", "f"),
              ElementsAre(HasSubstr("go to the local mail server")));
  EXPECT_THAT(CsfNotes("#SMTP_BLOCK = \"1\"\nSMTP_BLOCK = \"0\"\n", "f"),
              ElementsAre(HasSubstr("SMTP_BLOCK off")));
}

TEST(Imunify360Test, SmtpBlockingIsNamedWithWhoPasses) {
  const std::string text =
      "FIREWALL:\n enable: true\nSMTP_BLOCKING:\n allow_groups:\n - mailacc\n - mail\n"
      " allow_local: true\n allow_users: []\n enable: true\n ports:\n - 25\n - 587\n - 465\n"
      " redirect: true\nWEBSHIELD:\n enable: false\n ports:\n - 80\n";
  EXPECT_THAT(Imunify360Notes(text, "f"),
              ElementsAre(AllOf(HasSubstr("SMTP_BLOCKING on for ports 25,587,465: root, groups "
                                          "mailacc,mail pass"),
                                HasSubstr("go to the local mail server"))));
}

TEST(Imunify360Test, DeeperIndentationAndListsOnOneLineAreRead) {
  EXPECT_THAT(Imunify360Notes("SMTP_BLOCKING:\n  allow_users: [a, b]\n  enable: True\n"
                              "  ports: [25, 465]\n  redirect: false\n",
                              "f"),
              ElementsAre(AllOf(HasSubstr("ports 25,465: root, users a,b pass"),
                                HasSubstr("are rejected"))));
  EXPECT_THAT(Imunify360Notes("SMTP_BLOCKING:\n  enable: false\nOTHER:\n  enable: true\n", "f"),
              ElementsAre(HasSubstr("SMTP_BLOCKING off")));
  EXPECT_THAT(Imunify360Notes("- \n:\n ::\n", "f"), ElementsAre(HasSubstr("off")));
}

TEST(FirewalldTest, DirectRulesOnMailPortsAreNamed) {
  const std::string text =
      "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<direct>\n"
      "  <chain ipv=\"ipv4\" table=\"filter\" chain=\"mine\"/>\n"
      "  <!-- <rule ipv=\"ipv4\" table=\"filter\" chain=\"OUTPUT\" priority=\"0\">-p tcp --dport "
      "25 "
      "-j DROP</rule> -->\n"
      "  <rule ipv=\"ipv4\" table=\"filter\" chain=\"OUTPUT\" priority=\"0\">-p tcp -m tcp --dport "
      "25 -m owner ! --uid-owner postfix -j REJECT</rule>\n"
      "  <rule priority=\"1\" table=\"filter\" ipv=\"ipv6\" chain=\"OUTPUT\">-p tcp --dport 587 -m "
      "comment --comment &quot;x&quot; -j DROP</rule>\n"
      "  <rule ipv=\"ipv4\" table=\"filter\" chain=\"INPUT\" priority=\"0\">-p tcp --dport 25 -j "
      "DROP</rule>\n"
      "  <passthrough ipv=\"ipv4\">-t nat -I OUTPUT -p tcp --dport 25 -j REDIRECT --to-ports "
      "2525</passthrough>\n"
      "</direct>\n";
  EXPECT_THAT(
      FirewalldNotes(kMail, text, "/etc/firewalld/direct.xml"),
      ElementsAre(
          AllOf(HasSubstr("firewalld direct (/etc/firewalld/direct.xml) rule in ip filter OUTPUT"),
                HasSubstr("it stops by user")),
          AllOf(HasSubstr("ip6 filter OUTPUT"), HasSubstr("it stops what Postern")),
          AllOf(HasSubstr("ip nat OUTPUT"), HasSubstr("elsewhere"))));
}

TEST(FirewalldTest, TextThatIsNoXmlIsPassedOver) {
  for (const char* text : {"", "<", "<rule", "<rule >", "<rule >-p tcp --dport 25 -j DROP", "<!--",
                           "<rule chain=OUTPUT>x</rule>", "<rule chain=\"OUTPUT>x</rule>",
                           "<passthrough ipv=\"ipv4\">-A</passthrough>"}) {
    EXPECT_THAT(FirewalldNotes(kMail, text, "f"), IsEmpty()) << text;
  }
}

}  // namespace
}  // namespace postern::coexist
