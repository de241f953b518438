// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/cgroup_paths.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "agent/enrich/mount_table.h"
#include "tests/support/temporary_folder.h"

namespace postern::enrich {
namespace {

TEST(CgroupPathsTest, TreesThatKnowNoHandlesAreWalked) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkdir((folder / "system.slice").c_str(), 0700), 0);
  ASSERT_EQ(mkdir((folder / "system.slice/a b\n.service").c_str(), 0700), 0);
  struct stat unit = {};
  ASSERT_EQ(stat((folder / "system.slice/a b\n.service").c_str(), &unit), 0);
  struct stat root = {};
  ASSERT_EQ(stat(folder.path().c_str(), &root), 0);
  auto paths = CgroupPaths::Open(folder.path());
  ASSERT_TRUE(paths.ok());
  EXPECT_EQ(paths->Path(unit.st_ino), "/system.slice/a b\\x0a.service");
  EXPECT_EQ(paths->Path(root.st_ino), "/");
}

TEST(CgroupPathsTest, ACgroupIsNamedByItsIdAndRememberedWhenItIsGone) {
  auto mounts = MountTable::Open();
  ASSERT_TRUE(mounts.ok());
  std::string point;
  for (const Mount& mount : mounts->mounts()) {
    if (mount.type == "cgroup2") point = mount.point;
  }
  if (point.empty()) GTEST_SKIP() << "no cgroup v2 is mounted here";
  const std::string name = absl::StrCat("/postern-test-", getpid());
  if (mkdir((point + name).c_str(), 0755) != 0) GTEST_SKIP() << "cgroups cannot be made here";
  struct stat folder = {};
  const int found = stat((point + name).c_str(), &folder);
  auto paths = CgroupPaths::Open(point);
  const std::string before = paths.ok() ? paths->Path(folder.st_ino) : "";
  rmdir((point + name).c_str());
  ASSERT_EQ(found, 0);
  ASSERT_TRUE(paths.ok());
  EXPECT_EQ(before, name);
  EXPECT_EQ(paths->Path(folder.st_ino), name);
  EXPECT_EQ(CgroupPaths::Open(point)->Path(folder.st_ino), "");
}

TEST(CgroupPathsTest, AMountPointThatIsNotThereIsAnError) {
  EXPECT_FALSE(CgroupPaths::Open("/nonexistent").ok());
}

}  // namespace
}  // namespace postern::enrich
