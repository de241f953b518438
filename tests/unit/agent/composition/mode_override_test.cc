// SPDX-License-Identifier: Apache-2.0
#include "agent/mode_override.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_folder.h"

namespace postern::agent {
namespace {

using policy::Mode;

TEST(ModeOverrideTest, ItHoldsAcrossRestartsUntilTheFilesModeChanges) {
  const TemporaryFolder folder;
  ASSERT_TRUE(ModeOverride(folder.path()).Set(Mode::kMonitor, Mode::kEnforce).ok());
  EXPECT_EQ(ModeOverride(folder.path()).Effective(Mode::kMonitor), Mode::kEnforce);
  EXPECT_EQ(ModeOverride(folder.path()).Effective(Mode::kEnforce), Mode::kEnforce);
  ASSERT_TRUE(ModeOverride(folder.path()).Set(Mode::kEnforce, Mode::kMonitor).ok());
  EXPECT_EQ(ModeOverride(folder.path()).Effective(Mode::kMonitor), Mode::kMonitor);
  EXPECT_EQ(ModeOverride(folder.path()).Effective(Mode::kEnforce), Mode::kMonitor);
}

TEST(ModeOverrideTest, SwitchingBackToWhatTheFileSaysEndsIt) {
  const TemporaryFolder folder;
  const ModeOverride mode(folder.path());
  ASSERT_TRUE(mode.Set(Mode::kMonitor, Mode::kEnforce).ok());
  ASSERT_TRUE(mode.Set(Mode::kMonitor, Mode::kMonitor).ok());
  EXPECT_EQ(mode.Effective(Mode::kMonitor), Mode::kMonitor);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_TRUE(mode.Set(Mode::kMonitor, Mode::kMonitor).ok());
}

TEST(ModeOverrideTest, AfterTheFilesModeHasChangedItDoesNotComeBack) {
  const TemporaryFolder folder;
  const ModeOverride mode(folder.path());
  ASSERT_TRUE(mode.Set(Mode::kMonitor, Mode::kEnforce).ok());
  mode.Settle(Mode::kMonitor);
  EXPECT_EQ(mode.Effective(Mode::kMonitor), Mode::kEnforce);
  mode.Settle(Mode::kEnforce);
  EXPECT_EQ(mode.Effective(Mode::kMonitor), Mode::kMonitor);
}

TEST(ModeOverrideTest, AGarbledOneCountsAsNone) {
  const TemporaryFolder folder;
  std::ofstream(folder / "mode-override") << "monitor always\n";
  EXPECT_EQ(ModeOverride(folder.path()).Effective(Mode::kMonitor), Mode::kMonitor);
}

}  // namespace
}  // namespace postern::agent
