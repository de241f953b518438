// SPDX-License-Identifier: Apache-2.0
// A store on a disk of its own that others fill: a small tmpfs, in a mount namespace of
// the test's own.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/unique_fd.h"
#include "server/store/backup.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/server/sqlite_fixture.h"

namespace postern::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class StoreFullDiskTest : public SqliteTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "root alone can mount a small disk";
    ASSERT_EQ(unshare(CLONE_NEWNS), 0) << strerror(errno);
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0) << strerror(errno);
    ASSERT_EQ(mount("none", sqlite().folder.path().c_str(), "tmpfs", 0, "size=16m,mode=0700"), 0)
        << strerror(errno);
    SqliteTest::SetUp();
  }
  void TearDown() override {
    Close();
    if (IsSkipped()) return;
    EXPECT_EQ(umount(sqlite().folder.path().c_str()), 0) << strerror(errno);
  }

  // Somebody else takes what is left.
  void Fill() {
    const UniqueFd file(open(Filler().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    ASSERT_TRUE(file.valid()) << strerror(errno);
    const std::string chunk(4096, 'x');
    while (write(file.get(), chunk.data(), chunk.size()) > 0) {
    }
    struct statvfs disk = {};
    ASSERT_EQ(statvfs(sqlite().folder.path().c_str(), &disk), 0);
    ASSERT_EQ(disk.f_bavail, 0u);
  }
  void MakeRoom() { ASSERT_TRUE(std::filesystem::remove(Filler())); }
  std::string Filler() { return sqlite().folder / "filler"; }

  // Of what cannot be stored.
  void ExpectRefusal() {
    const absl::StatusOr<uint64_t> mark = Write("web1", 7, 3, Numbered(3, 3));
    EXPECT_TRUE(absl::IsResourceExhausted(mark.status())) << mark.status();
    EXPECT_THAT(std::string(mark.status().message()),
                AllOf(HasSubstr(File()), HasSubstr("disk is full"), HasSubstr("make room")));
  }
  void ExpectToBeStoredAgain() {
    EXPECT_TRUE(Eventually([&] { return Write("web1", 7, 3, Numbered(3, 3)).ok(); }));
    EXPECT_THAT(FoundNames(), ElementsAre("3", "2", "1"));
  }
};

TEST_F(StoreFullDiskTest, RestartedOnItAnswersAndStoresAgainOnceThereIsRoom) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 2)), 2u);
  Welcome("web1", 7);
  for (int restart = 0; restart < 2; ++restart) {
    Close();
    ASSERT_NO_FATAL_FAILURE(Fill());
    testing::internal::CaptureStderr();
    ASSERT_NO_FATAL_FAILURE(Open());
    EXPECT_THAT(FoundNames(), ElementsAre("2", "1"));
    EXPECT_EQ(store_->Hosts()->size(), 1u);
    EXPECT_EQ(Complete().gaps_size(), 0);
    ExpectRefusal();
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
    EXPECT_THAT(log, AllOf(HasSubstr("cannot be stored"), HasSubstr(File()),
                           HasSubstr("disk is full"), HasSubstr("make room")));
  }
  MakeRoom();
  ExpectToBeStoredAgain();
  Reopen();
  EXPECT_THAT(FoundNames(), ElementsAre("3", "2", "1"));
}

TEST_F(StoreFullDiskTest, RestartedOnItAfterAKillAnswersWithWhatTheLogsSay) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 2)), 2u);
  // As a kill leaves the files: with their logs and the logs' indexes.
  const std::string kept = sqlite().folder / "kept";
  std::filesystem::create_directory(kept);
  constexpr auto kAll =
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing;
  for (const std::string& name : {std::string("events.db"), std::string("events.db-wal"),
                                  std::string("events.db-shm"), std::string("events.db.d")}) {
    std::filesystem::copy(sqlite().folder / name, absl::StrCat(kept, "/", name), kAll);
  }
  Close();
  std::filesystem::copy(kept, sqlite().folder.path(), kAll);
  ASSERT_GT(std::filesystem::file_size(Part(1) + "-wal"), 0u);
  ASSERT_NO_FATAL_FAILURE(Fill());
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_THAT(FoundNames(), ElementsAre("2", "1"));
  ExpectRefusal();
  MakeRoom();
  ExpectToBeStoredAgain();
}

// The files that it reads as they lie there may have changed meanwhile.
TEST_F(StoreFullDiskTest, QuestionThatLastsUntilThereIsRoomHasToBeAskedAgain) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 2)), 2u);
  Close();
  ASSERT_NO_FATAL_FAILURE(Fill());
  ASSERT_NO_FATAL_FAILURE(Open());
  int found = 0;
  const absl::StatusOr<bool> truncated = store_->Find(
      {}, 0, [] { return false; },
      [&](const v1::Event&) {
        if (++found > 1) return true;
        MakeRoom();
        EXPECT_TRUE(Eventually([&] { return Write("web1", 7, 3, Numbered(3, 3)).ok(); }));
        return true;
      });
  EXPECT_TRUE(absl::IsUnavailable(truncated.status())) << truncated.status();
  EXPECT_THAT(FoundNames(), ElementsAre("3", "2", "1"));
}

// There is nothing to answer from.
TEST_F(StoreFullDiskTest, NewStoreOnItIsRefusedInOneLine) {
  Close();
  std::filesystem::remove(File());
  std::filesystem::remove_all(PartitionFolder(File()));
  ASSERT_NO_FATAL_FAILURE(Fill());
  const absl::StatusOr<std::unique_ptr<EventStore>> store =
      sqlite().Open([this] { return now_.load(); }, absl::InfiniteDuration());
  EXPECT_TRUE(absl::IsResourceExhausted(store.status())) << store.status();
  EXPECT_THAT(std::string(store.status().message()),
              AllOf(HasSubstr(File()), HasSubstr("disk is full"), Not(HasSubstr("\n"))));
}

TEST_F(StoreFullDiskTest, BackupOfItBlamesIt) {
  ASSERT_TRUE(Write("web1", 7, 1, Numbered(1, 2)).ok());
  Close();
  ASSERT_NO_FATAL_FAILURE(Fill());
  const TemporaryFolder elsewhere;
  const std::string target = elsewhere / "copy.db";
  const absl::Status status = BackUp(File(), target, now_);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(File() + ": the disk is full"), Not(HasSubstr(target))));
  EXPECT_FALSE(std::filesystem::exists(target));
}

}  // namespace
}  // namespace postern::server
