// SPDX-License-Identifier: Apache-2.0
// A collector dies between any two of its steps: nothing that was acknowledged is
// lost, nothing is there twice.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "tests/unit/server/sqlite_fixture.h"

namespace postern::server {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr int64_t kDay = 24 * kHour;

class StoreCrashTest : public SqliteTest {
 protected:
  // What was copied takes the store's place.
  void OpenCopy(const std::string& copy) {
    Close();
    CopyStore(copy, File());
    Open();
  }
  std::string CopyFile() { return sqlite().folder / "copy.db"; }
};

TEST_F(StoreCrashTest, WhatWasAcknowledgedOutlivesAKill) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 3)), 3u);
  ASSERT_TRUE(std::filesystem::exists(Part(1) + "-wal"));
  CopyStore(File(), CopyFile());
  OpenCopy(CopyFile());
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 3u);
  EXPECT_THAT(FoundNames(), ElementsAre("3", "2", "1"));
}

TEST_F(StoreCrashTest, LogCutShortLosesTheBatchAndItsMarkTogether) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 3)), 3u);
  EXPECT_EQ(*Write("web1", 7, 4, Numbered(4, 400)), 400u);
  CopyStore(File(), CopyFile());
  // The end of the last commit never reached the disk.
  const std::string log = PartitionFile(CopyFile(), 1) + "-wal";
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 100);
  OpenCopy(CopyFile());
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 3u);
  EXPECT_THAT(Found(), SizeIs(3));
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 400)), 400u);
  EXPECT_THAT(Found(), SizeIs(400));
}

// The partition commits first: whatever the catalog then lacks.
TEST_F(StoreCrashTest, KillBetweenThePartitionsCommitAndTheCatalogs) {
  Welcome("web1", 7);
  Copy(File(), CopyFile());
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(-3'600, -3'598)), 3u);
  EXPECT_EQ(*Write("web2", 8, 1, Numbered(1, 2)), 2u);
  CopyStore(File(), sqlite().folder / "whole.db");
  Copy(CopyFile(), sqlite().folder / "whole.db");
  OpenCopy(sqlite().folder / "whole.db");
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 3u);
  EXPECT_EQ(Welcome("web2", 8)[0].position(), 2u);
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(-3'600, -3'597)), 4u);
  EXPECT_EQ(*Write("web2", 8, 1, Numbered(1, 2)), 2u);
  EXPECT_THAT(Found(), SizeIs(6));
  // Where a host's record begins is made up for as well.
  EventFilter filter;
  filter.window = {kStart - kHour, kStart};
  filter.hosts = {"web1"};
  EXPECT_TRUE(Complete(filter).complete());
}

TEST_F(StoreCrashTest, KillRightAfterAPartitionWasBegun) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 3)), 3u);
  CopyStore(File(), CopyFile());
  now_ = kStart + kDay;
  EXPECT_EQ(*Write("web1", 7, 4, Numbered(4, 5)), 5u);
  // The file is there, the catalog is as before: it knows neither that the first
  // one ended nor that there is a second.
  Copy(Part(1), PartitionFile(CopyFile(), 1));
  Copy(Part(2), PartitionFile(CopyFile(), 2));
  OpenCopy(CopyFile());
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 5u);
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 6)), 6u);
  EXPECT_THAT(FoundNames(), ElementsAre("6", "5", "4", "3", "2", "1"));
}

TEST_F(StoreCrashTest, KillAtAnyTimeLosesNothingAndDoublesNothing) {
  Close();
  sqlite().limits.events = 40;
  constexpr int kRounds = 15;
  uint64_t acknowledged = 0;
  for (int round = 0; round < kRounds; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      // An agent that was told of less than is stored sends it again.
      Open();
      uint64_t position = acknowledged;
      while (true) {
        const int first = static_cast<int>(position) + 1;
        const absl::StatusOr<uint64_t> mark =
            Write("web1", 7, position + 1, Numbered(first, first + 6));
        if (!mark.ok()) _exit(1);
        position = *mark;
        if (write(ends[1], &position, sizeof(position)) != sizeof(position)) _exit(1);
      }
    }
    close(ends[1]);
    // Each round is killed some acknowledgements later than the one before.
    for (int i = 0; i < 1 + 3 * round; ++i) {
      uint64_t mark = 0;
      ASSERT_EQ(read(ends[0], &mark, sizeof(mark)), static_cast<ssize_t>(sizeof(mark)));
      acknowledged = mark;
    }
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    close(ends[0]);

    Open();
    const uint64_t stored = Welcome("web1", 7)[0].position();
    EXPECT_GE(stored, acknowledged);
    const std::vector<std::string> names = FoundNames();
    ASSERT_EQ(names.size(), stored);
    for (uint64_t i = 0; i < stored; ++i) ASSERT_EQ(names[i], std::to_string(stored - i));
    Close();
  }
  EXPECT_GT(CountParts(), 10u);
}

}  // namespace
}  // namespace postern::server
