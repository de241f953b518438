// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/rule_names.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "bpf/abi/event.h"

namespace postern::policy {
namespace {

class RuleNamesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/postern-rule-names-XXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST_F(RuleNamesTest, EarlierGenerationIsNamedAfterARestart) {
  {
    RuleNames names(folder_, "boot-a");
    ASSERT_TRUE(names.Set(1, {"postfix", "local"}).ok());
    ASSERT_TRUE(names.Set(2, {}).ok());
    ASSERT_TRUE(names.Set(3, {"local"}).ok());
  }
  const RuleNames names(folder_, "boot-a");
  EXPECT_EQ(names.Name(1, 0), "postfix");
  EXPECT_EQ(names.Name(1, 1), "local");
  EXPECT_EQ(names.Name(2, 0), "#0");
  EXPECT_EQ(names.Name(3, 0), "local");
  EXPECT_EQ(names.Name(3, POSTERN_RULE_DEFAULT), "default");
  EXPECT_EQ(names.Name(9, 3), "#3");
}

TEST_F(RuleNamesTest, GenerationsOfAnotherBootAreOthers) {
  ASSERT_TRUE(RuleNames(folder_, "boot-a").Set(1, {"postfix"}).ok());
  RuleNames names(folder_, "boot-b");
  EXPECT_EQ(names.Name(1, 0), "#0");
  ASSERT_TRUE(names.Set(1, {"exim"}).ok());
  EXPECT_EQ(RuleNames(folder_, "boot-b").Name(1, 0), "exim");
}

TEST_F(RuleNamesTest, CountingAnewForgetsWhatLiesAhead) {
  RuleNames names(folder_, "boot");
  ASSERT_TRUE(names.Set(1, {"one"}).ok());
  ASSERT_TRUE(names.Set(2, {"two"}).ok());
  ASSERT_TRUE(names.Set(1, {"again"}).ok());
  EXPECT_EQ(names.Name(1, 0), "again");
  EXPECT_EQ(names.Name(2, 0), "#0");
}

TEST_F(RuleNamesTest, OnlyTheLastGenerationsAreKept) {
  RuleNames names(folder_, "boot");
  for (uint32_t i = 1; i <= RuleNames::kGenerations + 1; ++i) {
    ASSERT_TRUE(names.Set(i, {"r" + std::to_string(i)}).ok());
  }
  const RuleNames kept(folder_, "boot");
  EXPECT_EQ(kept.Name(1, 0), "#0");
  EXPECT_EQ(kept.Name(2, 0), "r2");
  EXPECT_EQ(kept.Name(RuleNames::kGenerations + 1, 0), "r65");
}

TEST_F(RuleNamesTest, GarbageCountsAsEmpty) {
  for (const std::string& text :
       {std::string("\0\xff", 2), std::string("postern rule names 1\nboot boot\ngeneration x y\n"),
        std::string("postern rule names 2\nboot boot\ngeneration 1 y\n"), std::string()}) {
    std::ofstream(folder_ + "/rule-names") << text;
    EXPECT_EQ(RuleNames(folder_, "boot").Name(1, 0), "#0");
  }
}

TEST_F(RuleNamesTest, NamesAreKnownHereEvenIfTheyCannotBeKept) {
  RuleNames names(folder_ + "/none", "boot");
  EXPECT_FALSE(names.Set(1, {"postfix"}).ok());
  EXPECT_EQ(names.Name(1, 0), "postfix");
}

}  // namespace
}  // namespace postern::policy
