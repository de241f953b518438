// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/mount_table.h"

#include <gtest/gtest.h>

namespace postern::enrich {
namespace {

constexpr char kMountInfo[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "30 22 8:2 / /usr rw shared:2 master:3 - ext4 /dev/sda2 rw\n"
    "31 22 8:1 /srv/data /mnt/data rw - ext4 /dev/sda1 rw\n"
    "32 22 8:3 / /with\\040blank rw - ext4 /dev/sda3 rw\n"
    "33 22 0:50 /@ /pool rw - btrfs /dev/sdb rw\n"
    "34 22 0:50 /@home /home rw - btrfs /dev/sdb rw\n"
    "short line\n"
    "\n";

TEST(MountTableTest, MountsAreReadWithTheirOptionalFields) {
  const std::vector<Mount> mounts = ParseMountInfo(kMountInfo);
  ASSERT_EQ(mounts.size(), 6u);
  EXPECT_EQ(mounts[1].device, "8:2");
  EXPECT_EQ(mounts[1].point, "/usr");
  EXPECT_EQ(mounts[1].type, "ext4");
  EXPECT_EQ(mounts[3].point, "/with blank");
}

TEST(MountTableTest, APathIsPlacedWhereItsFileSystemIsMounted) {
  const std::vector<Mount> mounts = ParseMountInfo(kMountInfo);
  EXPECT_EQ(HostPath(mounts, "8:1", "/bin/sh"), "/bin/sh");
  EXPECT_EQ(HostPath(mounts, "8:2", "/bin/perl"), "/usr/bin/perl");
  EXPECT_EQ(HostPath(mounts, "8:3", "/x"), "/with blank/x");
}

TEST(MountTableTest, ABindMountDoesNotRenameWhatTheWholeMountShows) {
  EXPECT_EQ(HostPath(ParseMountInfo(kMountInfo), "8:1", "/srv/data/bot"), "/srv/data/bot");
}

TEST(MountTableTest, ASubvolumeIsPlacedAtItsOwnMount) {
  const std::vector<Mount> mounts = ParseMountInfo(kMountInfo);
  EXPECT_EQ(HostPath(mounts, "0:50", "/@/bot"), "/pool/bot");
  EXPECT_EQ(HostPath(mounts, "0:50", "/@home/u/bot"), "/home/u/bot");
  EXPECT_EQ(HostPath(mounts, "0:50", "/@homework/bot"), std::nullopt);
}

TEST(MountTableTest, AFileSystemThatIsNotMountedHereHasNoPlace) {
  EXPECT_EQ(HostPath(ParseMountInfo(kMountInfo), "9:9", "/bot"), std::nullopt);
}

TEST(MountTableTest, WhatOnlyOtherPartsOfItsFileSystemAreMountedOfHasNoPlace) {
  const std::vector<Mount> mounts = ParseMountInfo(kMountInfo);
  EXPECT_EQ(HostPath(mounts, "0:50", "/usr/bin/bot"), std::nullopt);
}

TEST(MountTableTest, ThisMachineHasARoot) {
  auto table = MountTable::Open();
  ASSERT_TRUE(table.ok());
  bool root = false;
  for (const Mount& mount : table->mounts()) root = root || mount.point == "/";
  EXPECT_TRUE(root);
  EXPECT_EQ(&table->mounts(), &table->mounts());
}

}  // namespace
}  // namespace postern::enrich
