// SPDX-License-Identifier: Apache-2.0
// What the store makes of the file it is given.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "server/store/schema.h"
#include "tests/unit/server/sqlite_fixture.h"

namespace postern::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
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
  options.path = sqlite().folder.File("none/events.db");
  options.now = [] { return kStart; };
  EXPECT_TRUE(absl::IsNotFound(SqliteStore::Open(std::move(options)).status()));
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
    store_->Append(std::move(batch), [&](absl::StatusOr<uint64_t> mark) {
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
