// SPDX-License-Identifier: Apache-2.0
#include "server/trust/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

namespace postern::server {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AdmissionTest : public testing::Test {
 protected:
  static Bearer Named(pki::Role role, const std::string& name) {
    Bearer bearer;
    bearer.role = role;
    bearer.name = name;
    return bearer;
  }
  // What the door does with one more connection; its id.
  uint64_t Enter(Admission& admission, const std::string& source) {
    EXPECT_THAT(admission.Refusal(source, now_), IsEmpty());
    if (const auto leaves = admission.GivesWay(source)) admission.Leave(leaves->id);
    admission.Enter(++last_id_, source);
    return last_id_;
  }
  static std::optional<uint64_t> WhoGivesWay(const Admission& admission,
                                             const std::string& source) {
    const auto leaves = admission.GivesWay(source);
    return leaves.has_value() ? std::optional(leaves->id) : std::nullopt;
  }
  void EnterAs(Admission& admission, const Bearer& bearer) {
    admission.Identify(Enter(admission, "192.0.2.1"), bearer);
  }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  uint64_t last_id_ = 0;
  const Bearer web1_ = Named(pki::Role::kAgent, "web1");
  const Bearer web2_ = Named(pki::Role::kAgent, "web2");
};

TEST_F(AdmissionTest, StrangersGiveWayToWhoComesLaterTheOldestFirst) {
  Admission admission(3, 4);
  EnterAs(admission, web1_);
  const uint64_t first = Enter(admission, "192.0.2.2");
  Enter(admission, "192.0.2.3");
  EXPECT_EQ(WhoGivesWay(admission, "192.0.2.4"), first);
  EnterAs(admission, web1_);
  EnterAs(admission, web1_);
  // Nobody is left who would.
  EXPECT_THAT(admission.Refusal("192.0.2.4", now_), HasSubstr("there are 3 connections"));
  EXPECT_EQ(WhoGivesWay(admission, "192.0.2.4"), std::nullopt);
}

TEST_F(AdmissionTest, StrangersAreBoundedOfAllAndOfOneSource) {
  Admission admission(10'000, 4);
  const uint64_t other = Enter(admission, "192.0.2.2");
  const uint64_t first = Enter(admission, "192.0.2.1");
  for (size_t i = 1; i < Admission::kStrangersOfOneSource; ++i) Enter(admission, "192.0.2.1");
  // Its own gives way, not an older one of another's; and where one has left there is room.
  EXPECT_EQ(WhoGivesWay(admission, "192.0.2.1"), first);
  EXPECT_EQ(WhoGivesWay(admission, "192.0.2.2"), std::nullopt);
  admission.Leave(first);
  EXPECT_EQ(WhoGivesWay(admission, "192.0.2.1"), std::nullopt);
  Enter(admission, "192.0.2.1");
  for (size_t i = Admission::kStrangersOfOneSource + 1; i < Admission::kStrangers; ++i) {
    EXPECT_EQ(WhoGivesWay(admission, "198.51.100.1"), std::nullopt);
    Enter(admission, absl::StrCat("198.51.100.", i % 250));
  }
  EXPECT_EQ(WhoGivesWay(admission, "198.51.100.1"), other);
}

TEST_F(AdmissionTest, WhoShowsACertificateIsNoStrangerAnyMore) {
  Admission admission(10'000, 1000);
  for (size_t i = 0; i < 2 * Admission::kStrangersOfOneSource; ++i) EnterAs(admission, web1_);
  EXPECT_EQ(WhoGivesWay(admission, "192.0.2.1"), std::nullopt);
}

TEST_F(AdmissionTest, OneNameHoldsSoManyConnectionsAndAnOperatorTwiceAsMany) {
  Admission admission(100, 2);
  const Bearer alice = Named(pki::Role::kOperator, "alice");
  for (int i = 0; i < 2; ++i) EnterAs(admission, web1_);
  const uint64_t last = last_id_;
  for (int i = 0; i < 4; ++i) {
    EXPECT_THAT(admission.Refusal(alice), IsEmpty());
    EnterAs(admission, alice);
  }
  EXPECT_THAT(admission.Refusal(web1_), HasSubstr("agent web1 holds 2 connections"));
  EXPECT_THAT(admission.Refusal(alice), HasSubstr("operator alice holds 4 connections"));
  EXPECT_THAT(admission.Refusal(web2_), IsEmpty());
  admission.Leave(last);
  EXPECT_THAT(admission.Refusal(web1_), IsEmpty());
}

TEST_F(AdmissionTest, ConnectsOfAMinuteAreCounted) {
  Admission admission(10'000, 10'000);
  for (int i = 0; i < Admission::kConnectsAMinute; ++i) EnterAs(admission, web1_);
  EXPECT_THAT(admission.Refusal("192.0.2.1", now_), HasSubstr("connections in a minute"));
  EXPECT_THAT(admission.Refusal("192.0.2.2", now_), IsEmpty());
  now_ += absl::Minutes(1);
  EXPECT_THAT(admission.Refusal("192.0.2.1", now_), IsEmpty());
}

TEST(SourceTest, NetworkOfIpv6CountsAsOne) {
  EXPECT_EQ(SourceOf("2001:db8:1:2::1"), SourceOf("2001:db8:1:2:ffff::9"));
  EXPECT_NE(SourceOf("2001:db8:1:2::1"), SourceOf("2001:db8:1:3::1"));
  EXPECT_EQ(SourceOf("fe80::1%eth0"), SourceOf("fe80::2%eth0"));
  EXPECT_EQ(SourceOf("192.0.2.1"), "192.0.2.1");
  EXPECT_NE(SourceOf("192.0.2.1"), SourceOf("192.0.2.2"));
}

}  // namespace
}  // namespace postern::server
