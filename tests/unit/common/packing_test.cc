// SPDX-License-Identifier: Apache-2.0
#include "common/packing.h"

#include <gtest/gtest.h>

#include <string>

namespace postern {
namespace {

TEST(PackingTest, WhatIsPackedComesBack) {
  for (const std::string& bytes :
       {std::string(), std::string("a"), std::string(1'000'000, 'x'), std::string("\0\xff\0", 3)}) {
    const auto unpacked = Unpack(Pack(bytes), bytes.size());
    ASSERT_TRUE(unpacked.ok()) << unpacked.status();
    EXPECT_EQ(*unpacked, bytes);
  }
}

TEST(PackingTest, EventsThatAreAlikeBecomeMuchSmaller) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i)
    bytes += "www-data /usr/bin/php8.2 192.0.2." + std::to_string(i % 250);
  EXPECT_LT(Pack(bytes).size() * 5, bytes.size());
}

TEST(PackingTest, MoreThanWasSaidIsRefused) {
  // A gigabyte in a megabyte would be: what it says is all that is taken.
  const std::string packed = Pack(std::string(64 << 20, 'x'));
  EXPECT_LT(packed.size(), size_t{1} << 20);
  EXPECT_EQ(Unpack(packed, 1000).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(PackingTest, WhatIsDamagedOrShortOrHasATailIsRefused) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += std::to_string(i * i);
  const std::string packed = Pack(bytes);
  std::string flipped = packed;
  flipped[flipped.size() / 2] ^= 0x10;
  for (const std::string& bad : {flipped, packed.substr(0, packed.size() - 1), packed + "z",
                                 std::string(), std::string("no zlib stream")}) {
    EXPECT_EQ(Unpack(bad, bytes.size()).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(Unpack(packed, bytes.size() + 1).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace postern
