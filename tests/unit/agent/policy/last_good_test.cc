// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/last_good.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/atomic_file.h"
#include "common/small_file.h"
#include "tests/unit/agent/policy/fake_host.h"

namespace postern::policy {
namespace {

constexpr char kText[] = "mode: enforce\nrules: [{name: r, user: alice, action: allow}]\n";

class LastGoodTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/postern-last-good-XXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST_F(LastGoodTest, NothingWasKeptAtFirst) {
  EXPECT_TRUE(absl::IsNotFound(LastGood(folder_).Load(FakeHost::WithPostfix()).status()));
}

TEST_F(LastGoodTest, WhatWasKeptIsLoadedAfterARestart) {
  ASSERT_TRUE(LastGood(folder_).Keep("mode: monitor\n").ok());
  ASSERT_TRUE(LastGood(folder_).Keep(kText).ok());
  const auto loaded = LastGood(folder_).Load(FakeHost::WithPostfix());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_TRUE(loaded->ok());
  EXPECT_EQ(loaded->text, kText);
  EXPECT_EQ(loaded->config->mode, Mode::kEnforce);
  EXPECT_EQ(loaded->config->rules.size(), 1U);
}

TEST_F(LastGoodTest, OnlyRootCanReadIt) {
  LastGood last_good(folder_);
  ASSERT_TRUE(last_good.Keep(kText).ok());
  struct stat state = {};
  ASSERT_EQ(stat(last_good.path().c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 07777, 0600U);
}

TEST_F(LastGoodTest, UserThatVanishedSinceIsLeftOutAndTheRestJudges) {
  ASSERT_TRUE(LastGood(folder_).Keep(kText).ok());
  const auto loaded = LastGood(folder_).Load(FakeHost::Bare());
  ASSERT_TRUE(loaded.ok() && loaded->ok());
  EXPECT_EQ(loaded->config->mode, Mode::kEnforce);
  EXPECT_TRUE(loaded->config->rules.empty());
  EXPECT_EQ(loaded->config->default_action, POSTERN_ACTION_DENY);
  EXPECT_EQ(loaded->Lines().size(), 1U);
}

TEST_F(LastGoodTest, GarbageOnDiskIsRefusedAndNotBelieved) {
  std::ofstream(LastGood(folder_).path()) << "rules: [";
  const auto loaded = LastGood(folder_).Load(FakeHost::WithPostfix());
  ASSERT_TRUE(loaded.ok());
  EXPECT_FALSE(loaded->ok());
}

TEST_F(LastGoodTest, SameTextIsNotWrittenAgain) {
  LastGood last_good(folder_);
  ASSERT_TRUE(last_good.Keep(kText).ok());
  struct stat before = {}, after = {};
  ASSERT_EQ(stat(last_good.path().c_str(), &before), 0);
  ASSERT_TRUE(last_good.Keep(kText).ok());
  ASSERT_EQ(stat(last_good.path().c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST_F(LastGoodTest, FailureLeavesWhatWasThere) {
  const std::string path = folder_ + "/file";
  ASSERT_TRUE(WriteFileAtomically(path, "old").ok());
  // The name of the temporary file is taken by what cannot be unlinked.
  ASSERT_TRUE(std::filesystem::create_directories(path + ".new/full"));
  EXPECT_FALSE(WriteFileAtomically(path, "new").ok());
  EXPECT_EQ(ReadSmallFile(path, 100, Links::kRefuse).value(), "old");
  EXPECT_FALSE(WriteFileAtomically(folder_ + "/none/file", "new").ok());
}

TEST_F(LastGoodTest, LeftoverOfACrashIsInNobodysWay) {
  const std::string path = folder_ + "/file";
  std::ofstream(path + ".new") << "half";
  ASSERT_TRUE(WriteFileAtomically(path, "whole").ok());
  EXPECT_EQ(ReadSmallFile(path, 100, Links::kRefuse).value(), "whole");
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_F(LastGoodTest, LinksAndLargeFilesAreNotRead) {
  std::ofstream(folder_ + "/target") << "12345";
  std::filesystem::create_symlink(folder_ + "/target", folder_ + "/link");
  EXPECT_FALSE(ReadSmallFile(folder_ + "/link", 100, Links::kRefuse).ok());
  EXPECT_EQ(ReadSmallFile(folder_ + "/link", 100, Links::kFollow).value(), "12345");
  EXPECT_FALSE(ReadSmallFile(folder_ + "/target", 4, Links::kRefuse).ok());
  EXPECT_EQ(ReadSmallFile(folder_ + "/target", 5, Links::kRefuse).value(), "12345");
}

}  // namespace
}  // namespace postern::policy
