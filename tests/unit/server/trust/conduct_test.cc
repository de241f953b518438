// SPDX-License-Identifier: Apache-2.0
#include "server/trust/conduct.h"

#include <gtest/gtest.h>

namespace postern::server {
namespace {

class ConductTest : public testing::Test {
 protected:
  static Bearer Named(pki::Role role, const std::string& name) {
    Bearer bearer;
    bearer.role = role;
    bearer.name = name;
    return bearer;
  }
  int PointsUntilOut(const Bearer& bearer) {
    int points = 0;
    while (conduct_.Allow(bearer, 1, "a test")) ++points;
    return points;
  }

  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  Conduct conduct_{[this] { return now_; }};
  const Bearer web1_ = Named(pki::Role::kAgent, "web1");
  const Bearer web2_ = Named(pki::Role::kAgent, "web2");
};

TEST_F(ConductTest, WhoUsesUpAMinutesPointsIsOutForAMinute) {
  EXPECT_EQ(PointsUntilOut(web1_), Conduct::kAgentPoints);
  EXPECT_TRUE(conduct_.ShutOut(web1_));
  now_ += absl::Seconds(59);
  EXPECT_FALSE(conduct_.Allow(web1_, 1, "a test"));
  now_ += absl::Seconds(1);
  EXPECT_FALSE(conduct_.ShutOut(web1_));
  EXPECT_TRUE(conduct_.Allow(web1_, 1, "a test"));
}

TEST_F(ConductTest, OthersFeelNothing) {
  PointsUntilOut(web1_);
  EXPECT_FALSE(conduct_.ShutOut(web2_));
  EXPECT_TRUE(conduct_.Allow(web2_, 1, "a test"));
  // Nor does an operator of the same name.
  EXPECT_EQ(PointsUntilOut(Named(pki::Role::kOperator, "web1")), Conduct::kOperatorPoints);
}

TEST_F(ConductTest, PointsOfAnEarlierMinuteAreForgotten) {
  for (int minute = 0; minute < 10; ++minute) {
    EXPECT_TRUE(conduct_.Allow(web1_, Conduct::kAgentPoints, "a test"));
    now_ += Conduct::kMinute;
  }
  EXPECT_EQ(conduct_.changes(), 0u);
}

TEST_F(ConductTest, EachShutOutIsCountedOnce) {
  PointsUntilOut(web1_);
  for (int i = 0; i < 10; ++i) conduct_.Allow(web1_, 1, "a test");
  EXPECT_EQ(conduct_.changes(), 1u);
}

}  // namespace
}  // namespace postern::server
