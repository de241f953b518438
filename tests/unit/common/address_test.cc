// SPDX-License-Identifier: Apache-2.0
#include "common/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace postern {
namespace {

using ::testing::HasSubstr;

std::string RoundTrip(absl::string_view text) {
  const absl::StatusOr<Address> address = ParseAddress(text);
  return address.ok() ? FormatAddress(*address) : "none";
}

TEST(Address, KeepsBothFamilies) {
  EXPECT_EQ(RoundTrip("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(RoundTrip("2001:db8::1"), "2001:db8::1");
  EXPECT_EQ(RoundTrip("::"), "::");
  EXPECT_EQ(RoundTrip("::ffff:192.0.2.1"), "192.0.2.1");
}

TEST(Address, WhatIsNoneIsRefused) {
  for (const absl::string_view text :
       {"", "host", "10.0.0", "10.0.0.256", "1:2:3", "10.0.0.1/8", "[::1]", " ::1"}) {
    EXPECT_EQ(RoundTrip(text), "none") << text;
  }
  EXPECT_EQ(RoundTrip(absl::string_view("10.0.0.1\0x", 10)), "none");
}

TEST(Prefix, CountsItsBitsFromTheFrontOfAllSixteenBytes) {
  EXPECT_EQ(ParsePrefix("192.0.2.0/24")->bits, 120u);
  EXPECT_EQ(ParsePrefix("0.0.0.0/0")->bits, 96u);
  EXPECT_EQ(ParsePrefix("192.0.2.1")->bits, 128u);
  EXPECT_EQ(ParsePrefix("2001:db8::/32")->bits, 32u);
  EXPECT_EQ(ParsePrefix("::ffff:192.0.2.0/120")->bits, 120u);
  EXPECT_TRUE(ParsePrefix("192.0.2.0/24")->written_as_ipv4);
  EXPECT_FALSE(ParsePrefix("::ffff:192.0.2.0/120")->written_as_ipv4);
  EXPECT_EQ(FormatAddress(ParsePrefix("192.0.2.9/24")->address), "192.0.2.9");
}

TEST(Prefix, WhatIsNoneIsRefusedByItsPart) {
  EXPECT_THAT(std::string(ParsePrefix("host/8").status().message()), HasSubstr("neither"));
  for (const char* text : {"10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/ 8",
                           "10.0.0.0/0008"}) {
    EXPECT_THAT(std::string(ParsePrefix(text).status().message()), HasSubstr("from 0 to 32"))
        << text;
  }
  EXPECT_THAT(std::string(ParsePrefix("::/129").status().message()), HasSubstr("from 0 to 128"));
}

}  // namespace
}  // namespace postern
