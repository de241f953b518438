// SPDX-License-Identifier: Apache-2.0
#include "common/metrics/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::metrics {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(MetricsAddressTest, LoopbackIsTaken) {
  EXPECT_EQ(*LoopbackAddress("127.0.0.1:7426"), "127.0.0.1:7426");
  EXPECT_EQ(*LoopbackAddress("127.8.9.10:1"), "127.8.9.10:1");
}

TEST(MetricsAddressTest, WhatOthersCouldReachIsRefusedInOneLine) {
  for (const char* text :
       {"0.0.0.0:7426", "192.0.2.1:7426", "[::]:7426", "[::1]:7426", "localhost:7426", ":7426",
        "7426", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "127.1:7426", "",
        "127.0.0.1:7426,0.0.0.0:7426", "127.0.0.1:7426s", "128.0.0.1:7426"}) {
    const absl::StatusOr<std::string> address = LoopbackAddress(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_THAT(std::string(address.status().message()),
                AllOf(HasSubstr("like 127.0.0.1:7426"), HasSubstr(text), Not(HasSubstr("\n"))));
  }
}

}  // namespace
}  // namespace postern::metrics
