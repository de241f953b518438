// SPDX-License-Identifier: Apache-2.0
// What the store makes of the file it is given.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "server/store/schema.h"
#include "tests/unit/server/sqlite_fixture.h"

namespace postern::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string ContentOf(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Opened by the tests themselves.
class StoreFileTest : public SqliteTest {
 protected:
  void SetUp() override {}

  std::string Refusal() {
    const absl::StatusOr<std::unique_ptr<EventStore>> store =
        sqlite().Open([this] { return now_.load(); }, absl::InfiniteDuration());
    return store.ok() ? "" : std::string(store.status().message());
  }
};

TEST_F(StoreFileTest, GarbageIsRefusedInOneLineAndLeftAsItIs) {
  const std::string garbage(8192, 'x');
  std::ofstream(File(), std::ios::binary) << garbage;
  EXPECT_THAT(Refusal(), AllOf(HasSubstr(File()), HasSubstr("not a database"), HasSubstr("move"),
                               Not(HasSubstr("\n"))));
  EXPECT_EQ(ContentOf(File()), garbage);
}

TEST_F(StoreFileTest, CatalogWithItsHeaderDamagedIsRefused) {
  Open();
  Write("web1", {Connect(kStart)});
  Close();
  std::fstream(File(), std::ios::binary | std::ios::in | std::ios::out).write("\0\0\0\0", 4);
  EXPECT_THAT(Refusal(), HasSubstr("not a database"));
}

TEST_F(StoreFileTest, CatalogCutShortIsRefused) {
  Open();
  Write("web1", {Connect(kStart)});
  Close();
  std::filesystem::resize_file(File(), 5000);
  EXPECT_THAT(Refusal(), HasSubstr("malformed"));
}

TEST_F(StoreFileTest, DatabaseOfSomebodyElseIsRefused) {
  Sql(File(), "CREATE TABLE theirs (a)");
  EXPECT_THAT(Refusal(), HasSubstr("not one of Postern's"));
}

TEST_F(StoreFileTest, NewerSchemaIsRefusedAndLeftAsItIs) {
  Open();
  Close();
  Sql(File(), "PRAGMA user_version = 99");
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("newer postern-collector"), HasSubstr("99")));
  Sql(File(), "PRAGMA user_version = " + std::to_string(kSchemaVersion));
  EXPECT_EQ(Refusal(), "");
}

TEST_F(StoreFileTest, SecondStoreOnOneFileIsRefused) {
  Open();
  EXPECT_THAT(Refusal(), HasSubstr("another postern-collector uses this store"));
  Close();
  EXPECT_EQ(Refusal(), "");
}

TEST_F(StoreFileTest, MissingFolderIsRefused) {
  SqliteStoreOptions options;
  options.path = sqlite().folder / "none/events.db";
  options.now = [] { return kStart; };
  EXPECT_TRUE(absl::IsNotFound(SqliteStore::Open(std::move(options)).status()));
}

// Nothing would say that all that was recorded is out of the answers.
TEST_F(StoreFileTest, PartitionsWithoutTheirCatalogAreRefused) {
  Open();
  Write("web1", {Connect(kStart)});
  Close();
  const std::string catalog = ContentOf(File());
  const auto is_told =
      AllOf(HasSubstr(File()), HasSubstr("catalog"), HasSubstr("missing or empty"),
            HasSubstr(PartitionFolder(File())), HasSubstr("move"), Not(HasSubstr("\n")));
  std::filesystem::resize_file(File(), 0);
  EXPECT_THAT(Refusal(), is_told);
  EXPECT_EQ(std::filesystem::file_size(File()), 0u);
  std::filesystem::remove(File());
  EXPECT_THAT(Refusal(), is_told);
  EXPECT_FALSE(std::filesystem::exists(File()));
  // As it says: a copy is put back, or the partitions go.
  std::ofstream(File(), std::ios::binary) << catalog;
  Open();
  EXPECT_EQ(Found().size(), 1u);
  Close();
  std::filesystem::remove(File());
  std::filesystem::rename(PartitionFolder(File()), sqlite().folder / "away");
  Open();
  EXPECT_THAT(Found(), IsEmpty());
}

TEST_F(StoreFileTest, WhatOthersCouldReadOrWriteIsMadeItsOwnersAlone) {
  namespace fs = std::filesystem;
  Open();
  Write("web1", {Connect(kStart)});
  Close();
  fs::permissions(File(), fs::perms(0664));
  fs::permissions(PartitionFolder(File()), fs::perms(0755));
  fs::permissions(Part(1), fs::perms(0606));
  testing::internal::CaptureStderr();
  Open();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
  EXPECT_THAT(log, AllOf(HasSubstr(File()), HasSubstr("other users could read or write 3")));
  const auto mode = [](const std::string& path) {
    return static_cast<unsigned>(fs::status(path).permissions());
  };
  EXPECT_EQ(mode(File()), 0600u);
  EXPECT_EQ(mode(PartitionFolder(File())), 0700u);
  EXPECT_EQ(mode(Part(1)), 0600u);
  EXPECT_EQ(Found().size(), 1u);
}

TEST_F(StoreFileTest, FileOfAnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "root alone can give a file away";
  Open();
  Write("web1", {Connect(kStart)});
  Close();
  for (const std::string& path : {File(), PartitionFolder(File()), Part(1)}) {
    SCOPED_TRACE(path);
    ASSERT_EQ(chown(path.c_str(), 65534, 65534), 0);
    EXPECT_THAT(Refusal(),
                AllOf(HasSubstr(path + ": belongs to user 65534"), Not(HasSubstr("\n"))));
    ASSERT_EQ(chown(path.c_str(), 0, 0), 0);
    EXPECT_EQ(Refusal(), "");
  }
}

TEST_F(StoreFileTest, WhatIsNoFileIsRefusedInOneClearLine) {
  namespace fs = std::filesystem;
  Open();
  Write("web1", {Connect(kStart)});
  Close();
  const std::string kept = sqlite().folder / "kept.db";
  fs::rename(Part(1), kept);
  fs::create_symlink(kept, Part(1));
  EXPECT_THAT(Refusal(), HasSubstr(Part(1) + ": is a symlink, where a file"));
  fs::remove(Part(1));
  fs::create_directory(Part(1));
  EXPECT_THAT(Refusal(), HasSubstr(Part(1) + ": is a folder, where a file"));
  fs::remove(Part(1));
  fs::rename(kept, Part(1));
  EXPECT_EQ(Refusal(), "");

  fs::rename(PartitionFolder(File()), kept);
  std::ofstream(PartitionFolder(File())) << "x";
  EXPECT_THAT(Refusal(), HasSubstr(PartitionFolder(File()) + ": is no folder"));
  fs::remove(PartitionFolder(File()));
  // A folder may be moved to where there is room for it.
  fs::create_symlink(kept, PartitionFolder(File()));
  Open();
  EXPECT_EQ(Found().size(), 1u);
  Close();
  fs::rename(File(), sqlite().folder / "catalog");
  fs::create_directory(File());
  EXPECT_THAT(Refusal(), HasSubstr(File() + ": is no file"));
}

TEST_F(StoreFileTest, MoreThanTheQueueHoldsIsRefusedAndNothingOfItStored) {
  SqliteStoreOptions options;
  options.path = File();
  options.max_queued_bytes = 1;
  // Holds the store's thread until all batches are queued, the first one perhaps in
  // its hands.
  std::promise<void> all_queued;
  std::shared_future<void> queued = all_queued.get_future().share();
  std::atomic<bool> hold{false};
  options.now = [&, queued] {
    if (hold) queued.wait();
    return kStart;
  };
  store_ = *SqliteStore::Open(std::move(options));
  hold = true;
  std::atomic<int> refused{0};
  std::atomic<int> stored{0};
  for (uint64_t epoch = 1; epoch <= 4; ++epoch) {
    EventBatch batch;
    batch.host = "web1";
    batch.epoch = epoch;
    *batch.events.Add() = Connect(kStart);
    store_->Append(std::move(batch), [&](const absl::StatusOr<uint64_t>& mark) {
      if (absl::IsResourceExhausted(mark.status())) ++refused;
      if (mark.ok()) ++stored;
    });
  }
  all_queued.set_value();
  Close();
  EXPECT_GE(refused, 2);
  EXPECT_EQ(refused + stored, 4);
  Open();
  EXPECT_EQ(Found().size(), static_cast<size_t>(stored.load()));
}

}  // namespace
}  // namespace postern::server
