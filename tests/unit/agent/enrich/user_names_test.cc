// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/user_names.h"

#include <gtest/gtest.h>

namespace postern::enrich {
namespace {

TEST(UserNamesTest, RootHasItsName) { EXPECT_EQ(UserNames().Name(0), "root"); }

TEST(UserNamesTest, ANameIsAskedForOnceAMinute) {
  int asked = 0;
  absl::Time now = absl::FromUnixSeconds(1);
  std::string name = "alice";
  UserNames names(
      [&](uint32_t) {
        ++asked;
        return name;
      },
      [&] { return now; });
  EXPECT_EQ(names.Name(7), "alice");
  EXPECT_EQ(names.Name(7), "alice");
  EXPECT_EQ(asked, 1);
  name = "bob";
  now += UserNames::kLifetime;
  EXPECT_EQ(names.Name(7), "bob");
}

TEST(UserNamesTest, AUidWithoutANameIsRememberedToo) {
  int asked = 0;
  UserNames names([&](uint32_t) {
    ++asked;
    return std::string();
  });
  EXPECT_EQ(names.Name(7), "");
  EXPECT_EQ(names.Name(7), "");
  EXPECT_EQ(asked, 1);
}

TEST(UserNamesTest, HostileNamesBecomePrintable) {
  UserNames names([](uint32_t) { return std::string("a\n\xff"); });
  EXPECT_EQ(names.Name(7), "a\\x0a\\xff");
}

}  // namespace
}  // namespace postern::enrich
