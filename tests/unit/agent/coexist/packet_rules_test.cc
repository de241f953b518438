// SPDX-License-Identifier: Apache-2.0
// Listings as iptables-save 1.8.9 and nft 1.0.6 print them.
#include "agent/coexist/packet_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/coexist/iptables.h"
#include "agent/coexist/nftables.h"

namespace postern::coexist {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

const Ports kMail = {25, 465, 587};

std::vector<std::string> Iptables(const std::string& text, std::set<Chain>* listed = nullptr) {
  PacketRules rules("iptables");
  IptablesListing listing(kMail, "ip", &rules);
  for (const auto line : absl::StrSplit(text, '\n')) listing.AddLine(line);
  if (listed != nullptr) *listed = listing.in_nf_tables();
  return rules.Notes();
}

// Rules of the table filter.
std::vector<std::string> Filter(const std::string& rules, const std::string& chains = "") {
  return Iptables(
      absl::StrCat("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n"
                   ":OUTPUT ACCEPT [0:0]\n",
                   chains, rules, "\nCOMMIT\n"));
}

std::vector<std::string> Nft(const std::string& text, const std::set<Chain>& listed = {}) {
  PacketRules rules("nft");
  NftListing listing(kMail, listed, &rules);
  for (const auto line : absl::StrSplit(text, '\n')) listing.AddLine(line);
  return rules.Notes();
}

// Rules of a chain on the way out.
std::vector<std::string> Output(const std::string& rules, const std::string& before = "",
                                const std::string& after = "") {
  return Nft(absl::StrCat("table inet guard {\n", before,
                          "\tchain out {\n\t\ttype filter hook output priority 0; policy accept;\n",
                          rules, "\n\t}\n", after, "}\n"));
}

TEST(IptablesTest, OwnerRuleOnMailPortsIsNamedWithWhatItMeans) {
  EXPECT_THAT(
      Filter("-A OUTPUT -p tcp -m multiport --dports 25,465,587 -m owner ! --uid-owner 102 -j "
             "REJECT --reject-with tcp-reset"),
      ElementsAre(AllOf(StartsWith("iptables rule in ip filter OUTPUT: `-p tcp -m multiport"),
                        HasSubstr("it stops by user what Postern has let pass"))));
  EXPECT_THAT(Filter("-A OUTPUT -p tcp -m tcp --dport 25 -m owner --gid-owner 8 -j ACCEPT"),
              ElementsAre(HasSubstr("it passes by user, whatever the program")));
}

TEST(IptablesTest, RejectDropAndRedirectOfMailPortsAreNamed) {
  EXPECT_THAT(Filter("-A OUTPUT -p tcp -m tcp --dport 20:30 -j DROP"),
              ElementsAre(HasSubstr("it stops what Postern has let pass")));
  EXPECT_THAT(Filter("-A OUTPUT -p tcp -m tcp ! --dport 443 -j REJECT"),
              ElementsAre(HasSubstr("it stops what Postern has let pass")));
  EXPECT_THAT(Iptables("*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT ! -d 127.0.0.0/8 -p tcp -m tcp "
                       "--dport 25 -j REDIRECT --to-ports 2525\nCOMMIT\n"),
              ElementsAre(AllOf(HasSubstr("ip nat OUTPUT"), HasSubstr("elsewhere"))));
}

TEST(IptablesTest, WhatDoesNotReachOutgoingMailIsNotNamed) {
  EXPECT_THAT(Filter("-A INPUT -p tcp -m tcp --dport 25 -j DROP\n"
                     "-A FORWARD -p tcp -m tcp --dport 25 -j DROP\n"
                     "-A ufw-user-input -p tcp -m tcp --dport 25 -j DROP\n"
                     "-A INPUT -j ufw-user-input\n"
                     "-A OUTPUT -p udp -m udp --dport 25 -j DROP\n"
                     "-A OUTPUT -p tcp -m tcp --dport 80 -m owner --uid-owner 33 -j REJECT\n"
                     "-A OUTPUT -p tcp -m tcp --sport 25 -j DROP\n"
                     "-A OUTPUT -p tcp -m tcp --dport 25 -j ACCEPT\n"
                     "-A OUTPUT -p tcp -m tcp --dport 25 -j LOG --log-prefix \"a -j DROP \"\n"
                     "-A OUTPUT -m comment --comment \"--dport 25\" -j DROP",
                     ":ufw-user-input - [0:0]\n"),
              IsEmpty());
}

TEST(IptablesTest, ChainsOfOthersAreFollowed) {
  // The way CSF and many scripts write it.
  EXPECT_THAT(Filter("-A OUTPUT -p tcp -m tcp --dport 25 -j MAILGUARD\n"
                     "-A MAILGUARD -m owner --uid-owner 102 -j RETURN\n"
                     "-A MAILGUARD -j REJECT --reject-with icmp-port-unreachable",
                     ":MAILGUARD - [0:0]\n"),
              ElementsAre(HasSubstr("chain MAILGUARD may stop or redirect")));
  EXPECT_THAT(Filter("-A OUTPUT -j SMTPOUTPUT\n"
                     "-A SMTPOUTPUT -p tcp -m multiport --dports 25,465,587 -m owner --uid-owner 0 "
                     "-j ACCEPT\n"
                     "-A SMTPOUTPUT -p tcp -m multiport --dports 25,465,587 -j REJECT",
                     ":SMTPOUTPUT - [0:0]\n"),
              ElementsAre(HasSubstr("it passes by user"), HasSubstr("it stops what Postern")));
  // A circle, which the kernel refuses and a listing may still show.
  EXPECT_THAT(Filter("-A OUTPUT -j a\n-A a -j b\n-A b -j a\n", ":a - [0:0]\n:b - [0:0]\n"),
              IsEmpty());
}

TEST(IptablesTest, OfManyRulesSomeAreShownAndTheOthersCounted) {
  std::string rules;
  for (int i = 0; i < 20; ++i) {
    absl::StrAppend(&rules, "-A OUTPUT -d 192.0.2.", i, " -p tcp --dport 25 -j DROP\n");
  }
  const std::vector<std::string> notes = Filter(rules);
  ASSERT_THAT(notes, SizeIs(9));
  EXPECT_THAT(notes.back(), HasSubstr("12 more iptables rules"));
  std::string endless;
  for (int i = 0; i < 20000; ++i) absl::StrAppend(&endless, "-A OUTPUT -j chain", i, "\n");
  EXPECT_THAT(Filter(endless), ElementsAre(HasSubstr("more rules than are looked at")));
}

TEST(IptablesTest, HostileTextIsShownAsText) {
  const std::vector<std::string> notes = Filter(
      "-A OUTPUT -p tcp --dport 25 -m comment --comment \"\x1b[2J\xff\n-A OUTPUT -p tcp --dport 25 "
      "-m comment --comment \"" +
      std::string(100000, 'x') +
      "\" -j DROP\n-A\n-A OUTPUT\n-A OUTPUT --dport\n*\n:\n-A OUTPUT ! -j");
  ASSERT_THAT(notes, SizeIs(1));
  EXPECT_LT(notes[0].size(), 500u);
}

TEST(NftTest, OwnerRulesAreNamedWithWhatTheyMean) {
  EXPECT_THAT(Output("\t\ttcp dport 25 meta skuid != { 0, 102 } counter reject with tcp reset"),
              ElementsAre(AllOf(StartsWith("nft rule in inet guard out: `tcp dport 25 meta skuid"),
                                HasSubstr("it stops by user"))));
  EXPECT_THAT(Output("\t\tmeta skuid != 102 th dport 587 drop"),
              ElementsAre(HasSubstr("it stops by user")));
  EXPECT_THAT(Output("\t\ttcp dport { 25, 465, 587 } meta skgid 8 accept"),
              ElementsAre(HasSubstr("it passes by user")));
  EXPECT_THAT(Output("\t\tmeta skuid 33 drop"), ElementsAre(HasSubstr("it stops by user")));
}

TEST(NftTest, PortsAreFoundInRangesSetsAndVerdictMaps) {
  const std::string set =
      "\tset mailports {\n\t\ttype inet_service\n\t\telements = { 80, 443,\n\t\t\t     587 "
      "}\n\t}\n\n"
      "\tset web {\n\t\ttype inet_service\n\t\telements = { 80, 443 }\n\t}\n\n"
      "\tmap verdicts {\n\t\ttype inet_service : verdict\n\t\telements = { 25 : drop }\n\t}\n\n";
  for (const char* rule :
       {"tcp dport 20-30 reject", "tcp dport @mailports log prefix \"mail \" drop",
        "tcp dport vmap { 25 : drop, 80 : accept }", "tcp dport vmap @verdicts",
        "tcp dport != { 80, 443 } drop", "tcp dport != @web drop",
        "ip daddr 192.0.2.1 tcp dport 25 counter drop comment \"x\""}) {
    EXPECT_THAT(Output(rule, set), ElementsAre(HasSubstr("it stops what Postern"))) << rule;
  }
  for (const char* rule : {"tcp dport @web drop", "tcp dport 80 drop", "udp dport 25 drop",
                           "tcp sport 25 drop", "tcp dport 25 accept", "tcp dport 25 counter",
                           "ip daddr @mailports drop", "tcp dport 25 log prefix \"drop reject\"",
                           "tcp dport != @mailports drop", "meta skuid 102 accept"}) {
    EXPECT_THAT(Output(rule, set), IsEmpty()) << rule;
  }
}

TEST(NftTest, RedirectsAndChainsOfOthersAreNamed) {
  EXPECT_THAT(Output("\t\ttcp dport 25 redirect to :2525"), ElementsAre(HasSubstr("elsewhere")));
  EXPECT_THAT(Output("\t\tip daddr 1.2.3.4 tcp dport 25 dnat to 127.0.0.1:25"),
              ElementsAre(HasSubstr("elsewhere")));
  EXPECT_THAT(
      Output("\t\ttcp dport 25 jump other", "", "\n\tchain other {\n\t\tcounter drop\n\t}\n"),
      ElementsAre(HasSubstr("chain other may stop or redirect")));
  EXPECT_THAT(Output("\t\ttcp dport 25 jump other", "", "\n\tchain other {\n\t\tcounter\n\t}\n"),
              IsEmpty());
}

TEST(NftTest, WhatComesInIsNotNamed) {
  EXPECT_THAT(Nft("table inet guard {\n\tchain in {\n\t\ttype filter hook input priority 0; policy "
                  "accept;\n\t\ttcp dport 25 drop\n\t}\n\n\tchain loose {\n\t\ttcp dport 25 drop\n"
                  "\t}\n}\n"),
              IsEmpty());
}

TEST(NftTest, ChainsThatIptablesHasShownAreNotShownTwice) {
  std::set<Chain> listed;
  const std::string rule = "-A OUTPUT -p tcp -m tcp --dport 25 -j DROP\n";
  EXPECT_THAT(Iptables("# Generated by iptables-save v1.8.9 (nf_tables) on Sun Nov 22 07:18:56 "
                       "2026\n*filter\n:OUTPUT ACCEPT [0:0]\n" +
                           rule + "COMMIT\n",
                       &listed),
              SizeIs(1));
  const std::string table =
      "table ip filter {\n\tchain OUTPUT {\n\t\ttype filter hook output priority 0; policy "
      "accept;\n"
      "\t\ttcp dport 25 counter drop\n\t}\n\n\tchain mine {\n\t\ttype filter hook output priority "
      "0; "
      "policy accept;\n\t\ttcp dport 465 drop\n\t}\n}\n";
  EXPECT_THAT(Nft(table, listed), ElementsAre(HasSubstr("ip filter mine")));
  EXPECT_THAT(Nft(table), SizeIs(2));
  // Tables of the older interface are none of nft's.
  listed.clear();
  Iptables(
      "# Generated by iptables-save v1.8.9 on Sun Nov 22 07:10:52 2026\n*filter\n:OUTPUT ACCEPT "
      "[0:0]\n" +
          rule + "COMMIT\n",
      &listed);
  EXPECT_THAT(listed, IsEmpty());
}

TEST(NftTest, TextThatIsNoListingIsPassedOver) {
  for (const char* text :
       {"}\n}\n}", "table", "table inet {", "chain x {\ntype filter hook", "set x {\nelements = {",
        "tcp dport 25 drop", "{ { {", "table inet a {\nset b {\nelements = {\n25,\n",
        "table inet a {\nchain b {\ntcp dport {\ntcp dport\ntcp dport vmap\njump\ndport != "}) {
    EXPECT_THAT(Nft(text), IsEmpty()) << text;
  }
}

}  // namespace
}  // namespace postern::coexist
