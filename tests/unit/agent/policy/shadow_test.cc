// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/shadow.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "agent/policy/config_reader.h"

namespace postern::policy {
namespace {

// Of two rules in flow style; users by number.
bool Shadowed(const std::string& earlier, const std::string& later) {
  Findings findings;
  const Config config = ParseConfig(
      "test", absl::StrCat("rules:\n  - {name: a, ", earlier, "}\n  - {name: b, ", later, "}\n"),
      findings);
  EXPECT_TRUE(findings.all().empty()) << findings.all().front().message;
  return Shadows(config.rules.at(0), config.rules.at(1), config.ports);
}

TEST(ShadowTest, WiderListsLeaveNothing) {
  EXPECT_TRUE(Shadowed("action: deny", "user: 1, port: 25, action: allow"));
  EXPECT_TRUE(Shadowed("user: [1, 2], action: allow", "user: 2, exe: /a, action: allow"));
  EXPECT_TRUE(Shadowed("exe: [/a, /b], action: deny", "exe: /b, action: deny"));
  EXPECT_FALSE(Shadowed("user: 1, action: allow", "user: [1, 2], action: allow"));
  EXPECT_FALSE(Shadowed("user: 1, action: allow", "exe: /a, action: allow"));
  EXPECT_FALSE(Shadowed("exe: /a, action: deny", "exe: /b, action: deny"));
}

TEST(ShadowTest, AllWatchedPortsAreEveryPort) {
  EXPECT_TRUE(Shadowed("port: [25, 465, 587], action: deny", "action: deny"));
  EXPECT_FALSE(Shadowed("port: [25, 465], action: deny", "action: deny"));
}

TEST(ShadowTest, AllowOnUsersIsNarrowerThanDenyOnThem) {
  EXPECT_FALSE(Shadowed("user: 1, user_namespace: any, action: allow", "user: 1, action: deny"));
  EXPECT_TRUE(Shadowed("user: 1, action: deny", "user: 1, action: allow"));
}

TEST(ShadowTest, NetworksCoverNarrowerOnes) {
  EXPECT_TRUE(Shadowed("destination: 10.0.0.0/8, action: deny",
                       "destination: [10.1.0.0/16, 10.2.3.4], action: deny"));
  EXPECT_TRUE(Shadowed("destination: [0.0.0.0/0, \"::/0\"], action: deny", "action: deny"));
  EXPECT_FALSE(Shadowed("destination: 0.0.0.0/0, action: deny", "action: deny"));
  EXPECT_FALSE(Shadowed("destination: 10.0.0.0/8, action: deny",
                        "destination: [10.1.0.0/16, local], action: deny"));
  EXPECT_TRUE(Shadowed("destination: [10.0.0.0/8, local], action: deny",
                       "destination: [10.1.0.0/16, local], action: deny"));
}

TEST(ShadowTest, ContainersAndNamespacesAreBeyondAnAllowRule) {
  EXPECT_FALSE(Shadowed("user: 1, action: allow", "user: 1, container: true, action: allow"));
  EXPECT_FALSE(Shadowed("user: 1, action: allow", "user: 1, user_namespace: any, action: allow"));
  EXPECT_TRUE(Shadowed("user: 1, user_namespace: any, action: allow", "user: 1, action: allow"));
  EXPECT_FALSE(Shadowed("container: false, action: deny", "action: deny"));
}

}  // namespace
}  // namespace postern::policy
