// SPDX-License-Identifier: Apache-2.0
#include "server/trust/bearer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/tls/certificate.h"

namespace postern::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

tls::CertificatePtr Certificate(const std::vector<std::string>& uris,
                                const std::vector<std::string>& names = {},
                                const std::string& common_name = "cn") {
  static const tls::KeyPtr key = tls::MakeKey().value();
  tls::Issue issue;
  issue.common_name = common_name;
  issue.uris = uris;
  issue.servers = names;
  issue.not_before = absl::FromUnixSeconds(1'700'000'000);
  issue.not_after = absl::FromUnixSeconds(1'800'000'000);
  return tls::Sign(issue, *key, nullptr, *key).value();
}

std::optional<Bearer> Of(const tls::CertificatePtr& certificate,
                         const std::vector<RoleRule>& rules = {}) {
  return BearerOf(*certificate, rules);
}

TEST(Pattern, StarStandsForAnyCharacters) {
  EXPECT_TRUE(MatchesPattern("web1", "web1"));
  EXPECT_FALSE(MatchesPattern("web1", "web10"));
  EXPECT_TRUE(MatchesPattern("*", ""));
  EXPECT_TRUE(MatchesPattern("web*", "web"));
  EXPECT_TRUE(MatchesPattern("*.example.net", "a.b.example.net"));
  EXPECT_FALSE(MatchesPattern("*.example.net", "example.net"));
  EXPECT_TRUE(MatchesPattern("a*b*c", "axxbyybc"));
  EXPECT_FALSE(MatchesPattern("a*b*c", "axxbyyb"));
  EXPECT_FALSE(MatchesPattern("", "a"));
}

TEST(BearerTest, AgentIsItsOwnHostAlone) {
  const auto bearer = Of(Certificate({"postern:agent:web1"}));
  ASSERT_TRUE(bearer.has_value());
  EXPECT_EQ(bearer->Title(), "agent web1");
  EXPECT_TRUE(bearer->MayUse("web1"));
  EXPECT_FALSE(bearer->MayUse("web2"));
  EXPECT_FALSE(bearer->MayUse(""));
  EXPECT_EQ(bearer->until, absl::FromUnixSeconds(1'800'000'000));
}

TEST(BearerTest, AgentsNameIsNoPattern) {
  EXPECT_FALSE(Of(Certificate({"postern:agent:*"}))->MayUse("web1"));
  const auto named = Of(Certificate({}, {"*.example.net"}),
                        {{.name = "*", .role = pki::Role::kAgent, .hosts = {}}});
  EXPECT_FALSE(named->MayUse("web1.example.net"));
}

TEST(BearerTest, AgentCannotWidenItselfByUris) {
  const auto bearer = Of(Certificate({"postern:agent:web1", "postern:host:*"}));
  EXPECT_FALSE(bearer->MayUse("web2"));
}

TEST(BearerTest, TwoRolesAreNone) {
  EXPECT_FALSE(Of(Certificate({"postern:agent:web1", "postern:operator:alice"})).has_value());
  EXPECT_FALSE(Of(Certificate({"postern:agent:web1", "postern:agent:web2"})).has_value());
  EXPECT_FALSE(Of(Certificate({"postern:agent:"})).has_value());
  EXPECT_FALSE(Of(Certificate({"postern:host:web1"})).has_value());
}

TEST(BearerTest, OperatorReadsAllUnlessItIsBound) {
  const auto all = Of(Certificate({"postern:operator:alice"}));
  EXPECT_THAT(all->hosts, IsEmpty());
  EXPECT_TRUE(all->MayUse("web1"));
  const auto bound = Of(Certificate({"postern:operator:alice", "postern:host:web*"}));
  EXPECT_TRUE(bound->MayUse("web1"));
  EXPECT_FALSE(bound->MayUse("db1"));
}

TEST(BearerTest, BondThatCannotBeReadIsNotTakenForNone) {
  EXPECT_FALSE(Of(Certificate({"postern:operator:alice", "postern:host:web 1"})).has_value());
}

TEST(BearerTest, RuleBindsACertificateOfPosternsButDoesNotPromoteIt) {
  const std::vector<RoleRule> rules = {
      {.name = "*", .role = pki::Role::kOperator, .hosts = {"db*"}}};
  EXPECT_EQ(Of(Certificate({"postern:agent:web1"}), rules)->role, pki::Role::kAgent);
  EXPECT_THAT(Of(Certificate({"postern:operator:alice"}), rules)->hosts, ElementsAre("db*"));
  // Its other names do not count beside Postern's.
  EXPECT_FALSE(Of(Certificate({"postern:host:x"}, {"noc.example.net"}), rules).has_value());
}

TEST(BearerTest, CertificateOfAnotherCaIsWhatTheFirstRuleSays) {
  const std::vector<RoleRule> rules = {
      {.name = "noc.example.net", .role = pki::Role::kOperator, .hosts = {}},
      {.name = "*.example.net", .role = pki::Role::kAgent, .hosts = {}}};
  EXPECT_EQ(Of(Certificate({}, {"noc.example.net"}), rules)->role, pki::Role::kOperator);
  const auto agent = Of(Certificate({}, {"web1.example.net"}), rules);
  EXPECT_EQ(agent->role, pki::Role::kAgent);
  EXPECT_TRUE(agent->MayUse("web1.example.net"));
  EXPECT_FALSE(agent->MayUse("web2.example.net"));
  EXPECT_FALSE(Of(Certificate({}, {"example.org"}), rules).has_value());
  EXPECT_EQ(Of(Certificate({}, {}, "web3.example.net"), rules)->name, "web3.example.net");
}

TEST(BearerTest, WhoShowedNoCertificateMayUseNothing) {
  EXPECT_FALSE(Bearer().MayUse("web1"));
  EXPECT_FALSE(Bearer().MayUse(""));
}

}  // namespace
}  // namespace postern::server
