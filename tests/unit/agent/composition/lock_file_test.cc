// SPDX-License-Identifier: Apache-2.0
#include "agent/lock_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/support/temporary_folder.h"

namespace postern::agent {
namespace {

using testing::HasSubstr;

TEST(LockFileTest, ASecondAgentIsRefusedByThePidOfTheFirst) {
  const TemporaryFolder folder;
  {
    const auto first = LockFolder("state_dir", folder.path());
    ASSERT_TRUE(first.ok()) << first.status();
    const auto second = LockFolder("state_dir", folder.path());
    EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(second.status().message()), HasSubstr(absl::StrCat("pid ", getpid())));
    EXPECT_THAT(std::string(second.status().message()), HasSubstr("name another state_dir"));
  }
  EXPECT_TRUE(LockFolder("state_dir", folder.path()).ok());
}

TEST(StateFolderTest, AMissingOneIsMadeForTheOwnerAlone) {
  const TemporaryFolder folder;
  ASSERT_TRUE(PrepareStateFolder(folder / "state").ok());
  struct stat state = {};
  ASSERT_EQ(stat((folder / "state").c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0777, 0700u);
  EXPECT_TRUE(PrepareStateFolder(folder / "state").ok());
}

TEST(StateFolderTest, OneThatOthersMayWriteToIsRefused) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkdir((folder / "state").c_str(), 0700), 0);
  ASSERT_EQ(chmod((folder / "state").c_str(), 0770), 0);
  EXPECT_THAT(std::string(PrepareStateFolder(folder / "state").message()), HasSubstr("writable"));
  std::ofstream(folder / "file") << "x";
  EXPECT_FALSE(PrepareStateFolder(folder / "file").ok());
  EXPECT_FALSE(PrepareStateFolder("/nonexistent/state").ok());
}

}  // namespace
}  // namespace postern::agent
