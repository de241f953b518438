// SPDX-License-Identifier: Apache-2.0
#include "common/nearest_name.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(NearestNameTest, CountsASwapAsOneStep) {
  static constexpr absl::string_view kNames[] = {"users", "rule", "user"};
  EXPECT_EQ(NearestName("uesr", kNames), "user");
  EXPECT_EQ(NearestName("x", {}), "");
}

}  // namespace
}  // namespace postern
