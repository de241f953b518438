// SPDX-License-Identifier: Apache-2.0
#include "server/trust/allowance.h"

#include <gtest/gtest.h>

namespace postern::server {
namespace {

class AllowanceTest : public testing::Test {
 protected:
  static constexpr size_t kAll = 1 << 30;

  size_t Of(const std::string& who) { return allowance_.Of(who, kAll, now_); }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  Allowance allowance_{1000};
};

TEST_F(AllowanceTest, ASecondsWorthMayComeAtOnceAndThenSoMuchASecond) {
  EXPECT_EQ(Of("web1"), 1000u);
  EXPECT_EQ(allowance_.Of("web1", 10, now_), 10u);
  allowance_.Spend("web1", 1000, now_);
  EXPECT_EQ(Of("web1"), 0u);
  now_ += absl::Milliseconds(500);
  EXPECT_EQ(Of("web1"), 500u);
  now_ += absl::Hours(1);
  EXPECT_EQ(Of("web1"), 1000u);
}

TEST_F(AllowanceTest, WhatWasTooMuchIsOwed) {
  EXPECT_EQ(Of("web1"), 1000u);
  allowance_.Spend("web1", 3000, now_);
  now_ += absl::Seconds(2);
  EXPECT_EQ(Of("web1"), 0u);
  now_ += absl::Milliseconds(100);
  EXPECT_EQ(Of("web1"), 100u);
}

TEST_F(AllowanceTest, OthersFeelNothing) {
  allowance_.Spend("web1", 5000, now_);
  EXPECT_EQ(Of("web2"), 1000u);
}

TEST_F(AllowanceTest, PruningForgivesNobody) {
  allowance_.Spend("web1", 5000, now_);
  now_ += absl::Seconds(2);
  allowance_.Prune(now_);
  EXPECT_EQ(Of("web1"), 0u);
  now_ += absl::Seconds(4);
  allowance_.Prune(now_);
  EXPECT_EQ(Of("web1"), 1000u);
}

}  // namespace
}  // namespace postern::server
