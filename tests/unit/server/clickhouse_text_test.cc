// SPDX-License-Identifier: Apache-2.0
// What is said to a ClickHouse server: addresses, values, tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "server/store/clickhouse/refusal.h"
#include "server/store/clickhouse/row_binary.h"
#include "server/store/clickhouse/schema.h"
#include "server/store/clickhouse/server_address.h"
#include "server/store/clickhouse/sql.h"

namespace postern::server::clickhouse {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ServerAddressTest, EveryPartIsRead) {
  const ServerAddress address =
      ParseServerAddress("clickhouse://post%20ern:p%40ss:word@db1.example.net:9123/events_2")
          .value();
  EXPECT_FALSE(address.tls);
  EXPECT_EQ(address.user, "post ern");
  EXPECT_EQ(address.password, "p@ss:word");
  EXPECT_EQ(address.host, "db1.example.net");
  EXPECT_EQ(address.port, 9123);
  EXPECT_EQ(address.database, "events_2");
  EXPECT_EQ(address.ToString(), "clickhouse://db1.example.net:9123/events_2");
}

TEST(ServerAddressTest, WhatIsNotWrittenHasItsDefault) {
  const ServerAddress plain = ParseServerAddress("clickhouse://db1/postern").value();
  EXPECT_EQ(plain.user, "default");
  EXPECT_EQ(plain.password, "");
  EXPECT_EQ(plain.port, 8123);
  const ServerAddress tls = ParseServerAddress("clickhouses://[2001:db8::1]/postern").value();
  EXPECT_TRUE(tls.tls);
  EXPECT_EQ(tls.port, 8443);
  EXPECT_EQ(tls.host, "2001:db8::1");
  EXPECT_EQ(tls.Origin(), "https://[2001:db8::1]:8443");
}

TEST(ServerAddressTest, WhatIsNoneIsRefusedAndNotRepeated) {
  for (const char* text :
       {"clickhouse:/x", "clickhouse://host", "clickhouse://host/", "clickhouse:///database",
        "clickhouse://secret@/database", "clickhouse://u:secret@host:0/database",
        "clickhouse://u:secret@host:65536/database", "clickhouse://u:secret@host:1x/database",
        "clickhouse://u:secret@host/data-base", "clickhouse://u:secret@host/data.base",
        "clickhouse://u:secret@ho st/database", "clickhouse://u:secret%0d%0aX: y@host/database",
        "clickhouse://u:secret%zz@host/database", "clickhouse://u:secret@[::1/database",
        "clickhouse://:secret@host/database", "http://u:secret@host/database"}) {
    const absl::Status status = ParseServerAddress(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret"))) << text;
  }
}

TEST(SqlTest, NothingOfATextIsLeftToBeInterpreted) {
  EXPECT_EQ(Quoted(""), "''");
  EXPECT_EQ(Quoted("/usr/bin/perl-5.36"), "'/usr/bin/perl-5.36'");
  EXPECT_EQ(Quoted("a'b\\c\n%_"), "'a\\x27b\\x5cc\\x0a\\x25_'");
  EXPECT_EQ(Quoted(std::string("\0\xff", 2)), "'\\x00\\xff'");
  EXPECT_EQ(List(std::vector<std::string>{"a", "'"}), "('a','\\x27')");
  EXPECT_EQ(List(std::vector<uint64_t>{0, ~uint64_t{0}}), "(0,18446744073709551615)");
}

TEST(RowBinaryTest, WhatIsPutIsRead) {
  std::string rows;
  PutText("", rows);
  PutText(std::string(300, 'x'), rows);
  PutNumber(std::numeric_limits<int64_t>::min(), rows);
  PutNumber(uint8_t{7}, rows);
  RowReader row(rows);
  EXPECT_EQ(row.Text(), "");
  EXPECT_EQ(row.Text(), std::string(300, 'x'));
  EXPECT_EQ(row.Read<int64_t>(), std::numeric_limits<int64_t>::min());
  EXPECT_FALSE(row.AtEnd());
  EXPECT_EQ(row.Read<uint8_t>(), 7);
  EXPECT_TRUE(row.AtEnd());
  EXPECT_TRUE(row.ok());
}

TEST(RowBinaryTest, WhatIsCutOffIsNotRead) {
  std::string rows;
  PutText(std::string(300, 'x'), rows);
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{2}, rows.size() - 1}) {
    RowReader row(absl::string_view(rows).substr(0, cut));
    EXPECT_EQ(row.Text(), "");
    EXPECT_FALSE(row.ok());
    EXPECT_TRUE(row.AtEnd());
    EXPECT_EQ(row.Read<int64_t>(), 0);
  }
  const std::string endless(20, '\xff');
  RowReader row(endless);
  EXPECT_EQ(row.Text(), "");
  EXPECT_FALSE(row.ok());
}

constexpr char kName[] = "clickhouse://db1:8123/postern";

TEST(RefusalTest, IsOneLineInTheServersOwnWordsWithWhatToDo) {
  const absl::Status of_18 = Refusal(
      kName, 500,
      "Code: 193, e.displayText() = DB::Exception: Wrong password for user postern, e.what() = "
      "DB::Exception\n");
  EXPECT_TRUE(absl::IsPermissionDenied(of_18));
  EXPECT_EQ(of_18.message(),
            "ClickHouse at clickhouse://db1:8123/postern refuses: Wrong password for user postern "
            "(code 193); check user and password in the collector's store and "
            "store_password_file");
  const absl::Status of_20 = Refusal(
      kName, 500,
      "Code: 241, e.displayText() = DB::Exception: Memory limit (for query) exceeded: would use "
      "9.32 GiB (attempt to allocate chunk of 4 bytes), maximum: 9.31 GiB (version 20.8.3.18), "
      "Stack trace:\n\n0. Poco::Exception");
  EXPECT_TRUE(absl::IsResourceExhausted(of_20));
  EXPECT_EQ(of_20.message(),
            "ClickHouse at clickhouse://db1:8123/postern refuses: Memory limit (for query) "
            "exceeded: would use 9.32 GiB (attempt to allocate chunk of 4 bytes), maximum: 9.31 "
            "GiB (code 241); ask for a shorter time, or allow it more memory");
  const absl::Status of_24 = Refusal(
      kName, 403,
      "Code: 516. DB::Exception: postern: Authentication failed: password is incorrect, or there "
      "is no user with such name. (AUTHENTICATION_FAILED) (version 24.8.1.1 (official build))\n");
  EXPECT_TRUE(absl::IsPermissionDenied(of_24));
  EXPECT_EQ(of_24.message(),
            "ClickHouse at clickhouse://db1:8123/postern refuses: postern: Authentication failed: "
            "password is incorrect, or there is no user with such name (code 516); check user and "
            "password in the collector's store and store_password_file");
}

TEST(RefusalTest, ShowsNothingThatATerminalObeysAndNothingEndless) {
  const absl::Status status =
      Refusal(kName, 500, "Code: 62, DB::Exception: \x1b[2J" + std::string(5'000, 'x'));
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\x1b")));
  EXPECT_LT(status.message().size(), 500u);
}

TEST(RefusalTest, WhatIsNoClickHouseIsSaidToBeNone) {
  EXPECT_EQ(Refusal(kName, 502, "<html>\n<body>Bad Gateway").message(),
            "clickhouse://db1:8123/postern answers HTTP 502: <html>; is that the HTTP port of a "
            "ClickHouse server?");
  EXPECT_EQ(
      Refusal(kName, 400, "Port 9000 is for clickhouse-client program.\r\nYou must").message(),
      "clickhouse://db1:8123/postern answers HTTP 400: Port 9000 is for clickhouse-client "
      "program; is that the HTTP port of a ClickHouse server?");
  EXPECT_EQ(Refusal(kName, 404, "").message(),
            "clickhouse://db1:8123/postern answers HTTP 404; is that the HTTP port of a "
            "ClickHouse server?");
}

TEST(EventsTableTest, UsesWhatTheServerHas) {
  EXPECT_THAT(EventsTable({}, 91), Not(HasSubstr("TTL")));
  EXPECT_THAT(EventsTable({}, 91), Not(HasSubstr("fsync")));
  Features newer;
  newer.ttl = newer.ttl_only_drop_parts = newer.fsync_after_insert = true;
  newer.fsync_part_directory = true;
  const std::string sql = EventsTable(newer, 91);
  EXPECT_THAT(sql, HasSubstr("\nTTL arrived + toIntervalDay(91)\nSETTINGS "));
  EXPECT_THAT(sql, HasSubstr("ttl_only_drop_parts = 1"));
  EXPECT_THAT(sql, HasSubstr("fsync_after_insert = 1, fsync_part_directory = 1"));
  EXPECT_THAT(EventsTable(newer, 0), Not(HasSubstr("TTL")));
}

TEST(EventsTableTest, DaysAreKeptUntilAllOfThemIsOld) {
  EXPECT_EQ(DaysKept(absl::InfiniteDuration()), 0);
  EXPECT_EQ(DaysKept(absl::Hours(1)), 2);
  EXPECT_EQ(DaysKept(absl::Hours(24)), 2);
  EXPECT_EQ(DaysKept(absl::Hours(24) * 90), 91);
}

}  // namespace
}  // namespace postern::server::clickhouse
