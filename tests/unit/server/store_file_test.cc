// SPDX-License-Identifier: Apache-2.0
// What the store makes of the file it is given, and what retention takes away.
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/time/clock.h"
#include "server/store/schema.h"
#include "tests/unit/server/store_fixture.h"

namespace postern::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

std::string ContentOf(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class StoreFileTest : public StoreTest {
 protected:
  // Opened by the tests themselves.
  void SetUp() override {}

  std::string Refusal() {
    const absl::StatusOr<std::unique_ptr<SqliteStore>> store = SqliteStore::Open(Options());
    return store.ok() ? "" : std::string(store.status().message());
  }

  // By hand, past the store.
  void Sql(const std::string& sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(File().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
  }

  // Until the store's own thread has done it.
  template <typename Condition>
  bool Eventually(const Condition& condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!condition()) {
      if (absl::Now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  void OpenWithRetention(absl::Duration retention) {
    SqliteStoreOptions options = Options();
    options.retention = retention;
    OpenWith(std::move(options));
  }
};

TEST_F(StoreFileTest, GarbageIsRefusedInOneLineAndLeftAsItIs) {
  const std::string garbage(8192, 'x');
  std::ofstream(File(), std::ios::binary) << garbage;
  EXPECT_THAT(Refusal(), AllOf(HasSubstr(File()), HasSubstr("not a database"), HasSubstr("move"),
                               Not(HasSubstr("\n"))));
  EXPECT_EQ(ContentOf(File()), garbage);
}

TEST_F(StoreFileTest, StoreWithItsHeaderDamagedIsRefused) {
  Open();
  Write("web1", {Connect(kStart)});
  Close();
  std::fstream(File(), std::ios::binary | std::ios::in | std::ios::out).write("\0\0\0\0", 4);
  EXPECT_THAT(Refusal(), HasSubstr("not a database"));
}

TEST_F(StoreFileTest, StoreCutShortIsRefused) {
  Open();
  Write("web1", {Connect(kStart)});
  Close();
  std::filesystem::resize_file(File(), 5000);
  EXPECT_THAT(Refusal(), HasSubstr("malformed"));
}

TEST_F(StoreFileTest, DatabaseOfSomebodyElseIsRefused) {
  Sql("CREATE TABLE theirs (a)");
  EXPECT_THAT(Refusal(), HasSubstr("not one of Postern's"));
}

TEST_F(StoreFileTest, NewerSchemaIsRefusedAndLeftAsItIs) {
  Open();
  Close();
  Sql("PRAGMA user_version = 99");
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("newer postern-collector"), HasSubstr("99")));
  Sql("PRAGMA user_version = " + std::to_string(kSchemaVersion));
  EXPECT_EQ(Refusal(), "");
}

TEST_F(StoreFileTest, OlderSchemaIsBroughtUpToDate) {
  Open();
  Welcome("web1", 7);
  Write("web1", {Named(Connect(kStart), "kept")});
  Close();
  Sql("ALTER TABLE hosts DROP COLUMN oldest_pending; "
      "ALTER TABLE hosts DROP COLUMN not_watched; ALTER TABLE hosts DROP COLUMN state; "
      "PRAGMA user_version = 1");
  Open();
  EXPECT_THAT(FoundNames(), ElementsAre("kept"));
  EXPECT_EQ(store_->Hosts()->at(0).host(), "web1");
  Welcome("web1", 7);
  EXPECT_TRUE(Complete().complete());
}

TEST_F(StoreFileTest, SecondStoreOnOneFileIsRefused) {
  Open();
  EXPECT_THAT(Refusal(), HasSubstr("another postern-collector uses this store"));
  Close();
  EXPECT_EQ(Refusal(), "");
}

TEST_F(StoreFileTest, MissingFolderIsRefused) {
  SqliteStoreOptions options = Options();
  options.path = folder_.File("none/events.db");
  EXPECT_TRUE(absl::IsNotFound(SqliteStore::Open(std::move(options)).status()));
}

TEST_F(StoreFileTest, RetentionDropsWhatEndedBeforeItAndKeepsTheRest) {
  Open();
  now_ = kStart + 48 * kHour;
  std::vector<v1::Event> events;
  for (int i = 0; i < 2500; ++i) events.push_back(Named(Connect(kStart + i), "old"));
  events.push_back(Named(Repeated(kStart, kStart + 30 * kHour, 5), "reaches in"));
  events.push_back(Named(Repeated(kStart, kStart + kHour, 5), "ended"));
  events.push_back(Named(Connect(kStart + 47 * kHour), "new"));
  Write("web1", events);
  Close();
  OpenWithRetention(absl::Hours(24));
  EXPECT_TRUE(Eventually([&] { return Found().size() == 2; }));
  EXPECT_THAT(FoundNames(), ElementsAre("new", "reaches in"));
}

TEST_F(StoreFileTest, RetentionGivesSpaceBack) {
  Open();
  now_ = kStart + 48 * kHour;
  std::vector<v1::Event> events;
  for (int i = 0; i < 5000; ++i) {
    v1::Event event = Named(Connect(kStart + i), "old");
    event.add_args(std::string(1000, 'a'));
    event.set_exe("/tmp/" + std::to_string(i));
    events.push_back(event);
  }
  Write("web1", events);
  Close();
  const auto before = std::filesystem::file_size(File());
  OpenWithRetention(absl::Hours(24));
  EXPECT_TRUE(Eventually([&] { return Found().empty(); }));
  // Names go after the last event; the clock moves on past their day.
  Close();
  now_ = kStart + 96 * kHour;
  OpenWithRetention(absl::Hours(24));
  Close();
  OpenWithRetention(absl::Hours(24));
  Close();
  EXPECT_LT(std::filesystem::file_size(File()), before / 4);
}

TEST_F(StoreFileTest, NameStaysWhileAnEventUsesIt) {
  Open();
  now_ = kStart + 72 * kHour;
  v1::Event old_one = Connect(kStart);
  old_one.set_exe("/usr/bin/perl");
  v1::Event new_one = Named(Connect(kStart + 71 * kHour), "new");
  new_one.set_exe("/usr/bin/perl");
  Write("web1", {old_one, new_one});
  Close();
  OpenWithRetention(absl::Hours(24));
  EXPECT_TRUE(Eventually([&] { return Found().size() == 1; }));
  EventFilter filter;
  filter.exes = {{"/usr/bin/perl", false}};
  EXPECT_THAT(FoundNames(filter), ElementsAre("new"));
}

TEST_F(StoreFileTest, NamesDroppedByRetentionAreWrittenAnew) {
  now_ = kStart + 72 * kHour;
  OpenWithRetention(absl::Hours(24));
  v1::Event event = Named(Connect(kStart), "old");
  event.set_exe("/usr/bin/perl");
  Write("web1", {event});
  Close();
  OpenWithRetention(absl::Hours(24));
  EXPECT_TRUE(Eventually([&] { return Found().empty(); }));
  event.set_time_ns(static_cast<uint64_t>(now_.load()));
  Write("web1", {event});
  EventFilter filter;
  filter.exes = {{"/usr/bin/perl", false}};
  EXPECT_THAT(Found(filter), SizeIs(1));
}

TEST_F(StoreFileTest, WindowBehindTheRetentionIsNotComplete) {
  Open();
  Write("web1", {Connect(kStart)});
  now_ = kStart + 48 * kHour;
  Welcome("web1", 7);
  Close();
  OpenWithRetention(absl::Hours(24));
  EXPECT_TRUE(Eventually([&] { return Found().empty(); }));
  EventFilter filter;
  filter.window = {kStart, now_};
  const v1::Completeness behind = Complete(filter);
  EXPECT_FALSE(behind.complete());
  ASSERT_EQ(behind.gaps_size(), 1);
  EXPECT_EQ(behind.gaps(0).host(), "web1");
  EXPECT_EQ(behind.gaps(0).gap().reason(), v1::Gap::EXPIRED);
  EXPECT_EQ(behind.gaps(0).gap().from_ns(), static_cast<uint64_t>(kStart));
  EXPECT_EQ(behind.gaps(0).gap().to_ns(), static_cast<uint64_t>(kStart + 24 * kHour));
  filter.window.since = now_ - kHour;
  EXPECT_TRUE(Complete(filter).complete());
  EXPECT_TRUE(Complete().complete());
}

TEST_F(StoreFileTest, WindowOfHostsThatRetentionForgotIsNotComplete) {
  Open();
  Write("web1", {Connect(kStart)});
  Close();
  now_ = kStart + 48 * kHour;
  OpenWithRetention(absl::Hours(24));
  EXPECT_TRUE(Eventually([&] { return store_->Hosts()->empty(); }));
  EventFilter filter;
  filter.window = {kStart, kStart + kHour};
  EXPECT_FALSE(Complete(filter).complete());
  EXPECT_EQ(Complete(filter).gaps_size(), 1);
}

}  // namespace
}  // namespace postern::server
