// SPDX-License-Identifier: Apache-2.0
#include "server/store/address.h"

#include <gtest/gtest.h>

namespace postern::server {
namespace {

bool Contains(absl::string_view cidr, absl::string_view text) {
  const absl::StatusOr<Address> address = ParseAddress(text);
  if (!address.ok()) return false;
  for (const AddressRange& range : ParseRanges(cidr)) {
    if (range.first <= *address && *address <= range.last) return true;
  }
  return false;
}

TEST(Address, ComesBackFromWhatIsStored) {
  for (const char* text : {"0.0.0.0", "192.0.2.1", "255.255.255.255"}) {
    const std::optional<int64_t> number = Ipv4Number(ParseAddress(text).value());
    ASSERT_TRUE(number.has_value());
    EXPECT_EQ(FormatAddress(Ipv4FromNumber(*number)), text);
  }
  const Address address = ParseAddress("2001:db8::1").value();
  EXPECT_FALSE(Ipv4Number(address).has_value());
  EXPECT_EQ(AddressFromBytes({reinterpret_cast<const char*>(address.data()), address.size()}),
            address);
  EXPECT_FALSE(AddressFromBytes("short").has_value());
}

TEST(Address, RangesHoldTheirEndsAndNoMore) {
  EXPECT_TRUE(Contains("10.0.0.0/8", "10.0.0.0"));
  EXPECT_TRUE(Contains("10.0.0.0/8", "10.255.255.255"));
  EXPECT_FALSE(Contains("10.0.0.0/8", "11.0.0.0"));
  EXPECT_FALSE(Contains("10.0.0.0/8", "9.255.255.255"));
  EXPECT_TRUE(Contains("10.1.2.3/8", "10.200.0.1"));
  EXPECT_TRUE(Contains("192.0.2.7", "192.0.2.7"));
  EXPECT_FALSE(Contains("192.0.2.7", "192.0.2.8"));
  EXPECT_TRUE(Contains("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(Contains("2001:db8::/33", "2001:db8:8000::1"));
}

TEST(Address, AllOfOneFamilyIsNotTheOther) {
  EXPECT_TRUE(Contains("0.0.0.0/0", "192.0.2.1"));
  EXPECT_FALSE(Contains("0.0.0.0/0", "::1"));
  EXPECT_TRUE(Contains("::/0", "::1"));
  EXPECT_TRUE(Contains("::/0", "2001:db8::1"));
  EXPECT_FALSE(Contains("::/0", "192.0.2.1"));
}

TEST(Address, WhatIsNoRangeIsRefused) {
  for (const char* text : {"", "/", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1",
                           "10.0.0.0/8/8", "10.0.0.0/ 8", "10.0.0", "host"}) {
    EXPECT_TRUE(ParseRanges(text).empty()) << text;
  }
}

}  // namespace
}  // namespace postern::server
