// SPDX-License-Identifier: Apache-2.0
// Stores of each earlier schema, with what such a store held.
#include <filesystem>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/store/schema.h"
#include "tests/unit/server/sqlite_fixture.h"

namespace postern::server {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kDay = 24 * kHour;

// As version 1 of postern-collector 0.1 made it.
constexpr const char* kVersion1 = R"sql(
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
CREATE TABLE hosts (id INTEGER PRIMARY KEY, host TEXT NOT NULL UNIQUE,
  agent TEXT NOT NULL DEFAULT '', boot TEXT NOT NULL DEFAULT '',
  version TEXT NOT NULL DEFAULT '', mode TEXT NOT NULL DEFAULT '',
  generation INTEGER NOT NULL DEFAULT 0, events_lost INTEGER NOT NULL DEFAULT 0,
  healthy INTEGER NOT NULL DEFAULT 0, connected INTEGER NOT NULL DEFAULT 0,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, first_event INTEGER) STRICT;
CREATE TABLE epochs (epoch INTEGER PRIMARY KEY, host INTEGER NOT NULL,
  position INTEGER NOT NULL) STRICT;
CREATE TABLE names (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE,
  until INTEGER NOT NULL) STRICT;
CREATE INDEX names_until ON names (until);
CREATE TABLE events (id INTEGER PRIMARY KEY, host INTEGER NOT NULL, span INTEGER NOT NULL,
  time INTEGER NOT NULL, last_time INTEGER NOT NULL, kind INTEGER NOT NULL,
  attempts INTEGER NOT NULL, verdict INTEGER NOT NULL, uid INTEGER, port INTEGER,
  destination BLOB, user INTEGER, exe INTEGER, script INTEGER, rule INTEGER, unit INTEGER,
  container INTEGER, comm INTEGER, body BLOB NOT NULL) STRICT;
CREATE INDEX events_host ON events (host, span, time);
CREATE INDEX events_time ON events (span, time);
CREATE INDEX events_gap ON events (host, last_time) WHERE kind = 2;
CREATE TABLE expiry (before INTEGER NOT NULL) STRICT;
PRAGMA application_id = 1349743726;
PRAGMA user_version = 1;
)sql";

constexpr const char* kVersion2 = R"sql(
ALTER TABLE hosts ADD COLUMN oldest_pending INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN not_watched INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version = 2;
)sql";

class StoreMigrationTest : public SqliteTest, public testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    now_ = kStart + 3 * kDay;
    Sql(File(), kVersion1);
    if (GetParam() >= 2) Sql(File(), kVersion2);
    Sql(File(), absl::StrCat("INSERT INTO hosts (id, host, agent, first_seen, last_seen, "
                             "first_event) VALUES (5, 'web1', 'agent-of-web1', ",
                             kStart, ", ", now_.load(), ", ", kStart, ")"));
    Sql(File(), "INSERT INTO epochs VALUES (7, 5, 4)");
    Sql(File(), absl::StrCat("INSERT INTO expiry VALUES (", kStart - kDay, ")"));
    for (int day = 0; day < 3; ++day) Add(EventOf(day));
    Add(GapOf(9, kStart + kHour, kStart + 2 * kHour));
  }

  static v1::Event EventOf(int day) {
    v1::Event event = Named(Connect(kStart + day * kDay), "day" + std::to_string(day));
    event.set_host("web1");
    event.set_exe("/usr/bin/perl");
    event.set_destination("2001:db8::25");
    event.set_port(25);
    event.add_args("perl");
    event.add_ancestors()->set_pid(1);
    event.set_pid(4711);
    event.set_seq(12);
    return event;
  }
  // The columns that questions went by do not matter: the body is the event whole.
  void Add(const v1::Event& event) {
    Sql(File(),
        absl::StrCat("INSERT INTO events (host, span, time, last_time, kind, attempts, "
                     "verdict, body) VALUES (5, 0, ",
                     event.time_ns(), ", ", event.time_ns(), ", ", event.kind(), ", 1, 1, x'",
                     absl::BytesToHexString(event.SerializeAsString()), "')"));
  }
};

TEST_P(StoreMigrationTest, EventsMarksAndHostsAreKept) {
  Open();
  EXPECT_THAT(FoundNames(), ElementsAre("day2", "day1", "day0"));
  EXPECT_EQ(Found()[0].SerializeAsString(), EventOf(2).SerializeAsString());
  EXPECT_EQ(store_->Hosts()->at(0).host(), "web1");
  EXPECT_EQ(Complete().missing(), 9u);
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 4u);
  EXPECT_EQ(*Write("web1", 7, 1, std::vector<v1::Event>(4, Connect(kStart))), 4u);
  EXPECT_EQ(*Write("web1", 7, 5, {Named(Connect(now_), "new")}), 5u);
  EXPECT_THAT(FoundNames(), ElementsAre("new", "day2", "day1", "day0"));
  EventFilter behind;
  behind.window = {kStart - 2 * kDay, kStart};
  EXPECT_FALSE(Complete(behind).complete());
  Reopen();
  EXPECT_THAT(FoundNames(), ElementsAre("new", "day2", "day1", "day0"));
}

TEST_P(StoreMigrationTest, DaysExpireAsIfTheyHadComeOneByOne) {
  Open(absl::Hours(36));
  EXPECT_TRUE(Eventually([&] { return Found().size() == 1; }));
  EXPECT_THAT(FoundNames(), ElementsAre("day2"));
}

TEST_P(StoreMigrationTest, OneThatWasInterruptedBeginsAnew) {
  // Partitions, and the old tables still there.
  const std::string before = sqlite().folder / "before.db";
  std::filesystem::copy_file(File(), before);
  Open();
  Close();
  std::filesystem::copy_file(before, File(), std::filesystem::copy_options::overwrite_existing);
  Open();
  EXPECT_THAT(FoundNames(), ElementsAre("day2", "day1", "day0"));
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 4u);
}

INSTANTIATE_TEST_SUITE_P(Versions, StoreMigrationTest, testing::Values(1, 2));
static_assert(kSchemaVersion == 3, "a store of the version before is to be tested too");

}  // namespace
}  // namespace postern::server
