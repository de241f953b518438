// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/cidr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace postern::policy {
namespace {

using ::testing::HasSubstr;

std::string Problem(absl::string_view text) {
  return std::string(ParseCidr(text).status().message());
}

TEST(CidrTest, ReadsBothFamiliesAndSingleAddresses) {
  EXPECT_EQ(ToString(ParseCidr("192.0.2.0/24").value()), "192.0.2.0/24");
  EXPECT_EQ(ToString(ParseCidr("192.0.2.7").value()), "192.0.2.7/32");
  EXPECT_EQ(ToString(ParseCidr("0.0.0.0/0").value()), "0.0.0.0/0");
  EXPECT_EQ(ToString(ParseCidr("2001:DB8::/32").value()), "2001:db8::/32");
  EXPECT_EQ(ToString(ParseCidr("::1").value()), "::1/128");
  EXPECT_EQ(ToString(ParseCidr("::/0").value()), "::/0");
  EXPECT_EQ(ToString(ParseCidr("10.128.0.0/9").value()), "10.128.0.0/9");
}

TEST(CidrTest, MappedPrefixIsAnIpv4One) {
  const Cidr mapped = ParseCidr("::ffff:10.0.0.0/104").value();
  EXPECT_TRUE(mapped.ipv4);
  EXPECT_EQ(ToString(mapped), "10.0.0.0/8");
}

TEST(CidrTest, HostBitsAreToldWithTheNetworkMeant) {
  EXPECT_THAT(Problem("10.1.2.3/8"), HasSubstr("write 10.0.0.0/8"));
  EXPECT_THAT(Problem("10.1.2.3/0"), HasSubstr("write 0.0.0.0/0"));
  EXPECT_THAT(Problem("2001:db8::1/127"), HasSubstr("write 2001:db8::/127"));
  EXPECT_THAT(Problem("10.1.2.255/25"), HasSubstr("write 10.1.2.128/25"));
}

TEST(CidrTest, WhatIsNoNetworkIsRefused) {
  for (const char* text :
       {"", "/", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8 ",
        "10.0.0/8", "10.0.0.0/8/8", "fe80::1%eth0", "example.org", "010.0.0.1", "10.0.0.0/1e1"}) {
    EXPECT_FALSE(ParseCidr(text).ok()) << text;
  }
  EXPECT_FALSE(ParseCidr(absl::string_view("10.0.0.1\0x", 10)).ok());
}

TEST(CidrTest, FamiliesDoNotCoverEachOther) {
  const auto covers = [](absl::string_view outer, absl::string_view inner) {
    return Covers(ParseCidr(outer).value(), ParseCidr(inner).value());
  };
  EXPECT_TRUE(covers("10.0.0.0/8", "10.1.0.0/16"));
  EXPECT_TRUE(covers("10.0.0.0/8", "10.0.0.0/8"));
  EXPECT_FALSE(covers("10.1.0.0/16", "10.0.0.0/8"));
  EXPECT_FALSE(covers("10.0.0.0/9", "10.128.0.0/9"));
  EXPECT_FALSE(covers("::/0", "10.0.0.0/8"));
  EXPECT_TRUE(covers("::/0", "2001:db8::/32"));
  EXPECT_TRUE(Contains(ParseCidr("10.0.0.0/8").value(), ParseAddress("::ffff:10.9.9.9").value()));
  EXPECT_FALSE(Contains(ParseCidr("::/0").value(), ParseAddress("10.9.9.9").value()));
}

}  // namespace
}  // namespace postern::policy
