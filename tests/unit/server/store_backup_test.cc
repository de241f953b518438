// SPDX-License-Identifier: Apache-2.0
// A copy of a store that is being written to is a store.
#include "server/store/backup.h"

#include <sys/stat.h>

#include <filesystem>

#include "tests/unit/server/sqlite_fixture.h"

namespace postern::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kDay = 24 * kHour;

class StoreBackupTest : public SqliteTest {
 protected:
  std::string Target() { return sqlite().folder / "backup.db"; }

  void OpenBackup() {
    Close();
    SqliteStoreOptions options;
    options.path = Target();
    options.now = [this] { return now_.load(); };
    absl::StatusOr<std::unique_ptr<SqliteStore>> store = SqliteStore::Open(std::move(options));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
};

TEST_F(StoreBackupTest, HoldsAllPartitionsAndMarks) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 3)), 3u);
  now_ = kStart + kDay;
  EXPECT_EQ(*Write("web1", 7, 4, Numbered(4, 5)), 5u);
  ASSERT_TRUE(BackUp(File(), Target(), now_).ok());
  EXPECT_EQ(*Write("web1", 7, 6, Numbered(6, 6)), 6u);
  OpenBackup();
  EXPECT_THAT(FoundNames(), ElementsAre("5", "4", "3", "2", "1"));
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 5u);
  EXPECT_EQ(*Write("web1", 7, 5, Numbered(5, 6)), 6u);
  EXPECT_THAT(FoundNames(), ElementsAre("6", "5", "4", "3", "2", "1"));
}

TEST_F(StoreBackupTest, OfAStoppedCollectorIsTheSame) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 3)), 3u);
  Close();
  ASSERT_TRUE(BackUp(File(), Target(), now_).ok());
  OpenBackup();
  EXPECT_THAT(FoundNames(), ElementsAre("3", "2", "1"));
}

TEST_F(StoreBackupTest, TimeAfterItIsNotCompleteOnceItIsInUse) {
  Welcome("web1", 7);
  Write("web1", {Connect(kStart)});
  now_ = kStart + kHour;
  Welcome("web1", 7);
  ASSERT_TRUE(BackUp(File(), Target(), now_).ok());
  now_ = kStart + 3 * kHour;
  OpenBackup();
  Welcome("web1", 7);
  EventFilter filter;
  filter.window = {kStart, kStart + kHour};
  EXPECT_TRUE(Complete(filter).complete());
  filter.window = {kStart + 2 * kHour, kStart + 2 * kHour + kMinute};
  const v1::Completeness answer = Complete(filter);
  EXPECT_FALSE(answer.complete());
  ASSERT_EQ(answer.gaps_size(), 1);
  EXPECT_EQ(answer.gaps(0).gap().reason(), v1::Gap::STORE_DAMAGED);
  now_ = kStart + 4 * kHour;
  Welcome("web1", 7);
  filter.window = {kStart + 3 * kHour + kMinute, kStart + 4 * kHour};
  EXPECT_TRUE(Complete(filter).complete());
}

TEST_F(StoreBackupTest, WhileEventsComeInHoldsEachOnceUpToItsMark) {
  Close();
  sqlite().limits.events = 50;
  Open();
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::thread writer([&] {
    for (int first = 1; !stop; first += 10) {
      EXPECT_TRUE(Write("web1", 7, static_cast<uint64_t>(first), Numbered(first, first + 9)).ok());
      written = first + 9;
    }
  });
  EXPECT_TRUE(Eventually([&] { return written > 200; }));
  const int before = written;
  const absl::Status status = BackUp(File(), Target(), now_);
  stop = true;
  writer.join();
  ASSERT_TRUE(status.ok()) << status;
  OpenBackup();
  const uint64_t mark = Welcome("web1", 7)[0].position();
  EXPECT_GE(mark, static_cast<uint64_t>(before));
  const std::vector<std::string> names = FoundNames();
  ASSERT_EQ(names.size(), mark);
  for (uint64_t i = 0; i < mark; ++i) ASSERT_EQ(names[i], std::to_string(mark - i));
}

TEST_F(StoreBackupTest, WhatIsThereIsLeftAsItIs) {
  Write("web1", {Connect(kStart)});
  ASSERT_TRUE(BackUp(File(), Target(), now_).ok());
  const absl::Status again = BackUp(File(), Target(), now_);
  EXPECT_TRUE(absl::IsAlreadyExists(again));
  EXPECT_THAT(std::string(again.message()), AllOf(HasSubstr(Target()), Not(HasSubstr("\n"))));
  EXPECT_TRUE(std::filesystem::exists(Target()));
}

TEST_F(StoreBackupTest, ItAndThePartitionsAreTheirOwnersAlone) {
  namespace fs = std::filesystem;
  const auto mode = [](const std::string& path) {
    return static_cast<unsigned>(fs::status(path).permissions());
  };
  // Of files that are to be private, and of a careless administrator.
  for (const mode_t mask : {0177, 0}) {
    Close();
    fs::remove_all(PartitionFolder(File()));
    fs::remove_all(PartitionFolder(Target()));
    fs::remove(File());
    fs::remove(Target());
    const mode_t before = umask(mask);
    Open();
    Write("web1", {Connect(kStart)});
    EXPECT_TRUE(BackUp(File(), Target(), now_).ok());
    umask(before);
    EXPECT_EQ(mode(PartitionFolder(File())), 0700u);
    EXPECT_EQ(mode(Part(1)), 0600u);
    EXPECT_EQ(mode(Part(1) + "-wal"), 0600u);
    EXPECT_EQ(mode(Target()), 0600u);
    EXPECT_EQ(mode(PartitionFolder(Target())), 0700u);
    EXPECT_EQ(mode(PartitionFile(Target(), 1)), 0600u);
    positions_.clear();
  }
}

TEST_F(StoreBackupTest, FailureLeavesNothingBehind) {
  Write("web1", {Connect(kStart)});
  Close();
  std::filesystem::remove(Part(1));
  EXPECT_FALSE(BackUp(File(), Target(), now_).ok());
  EXPECT_FALSE(std::filesystem::exists(Target()));
  EXPECT_FALSE(std::filesystem::exists(Target() + ".d"));
}

}  // namespace
}  // namespace postern::server
