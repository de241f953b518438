// SPDX-License-Identifier: Apache-2.0
// query and hosts against a collector that a test plays.
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "cli/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/cli/fake_collector.h"
#include "tests/unit/cli/fixture.h"

namespace postern::cli {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using v1::Event;

constexpr uint64_t kHour = 3600 * kSecond;

class CollectorCommandsTest : public CliTest {
 protected:
  CollectorCommandsTest() : collector_(Socket("query.sock")) {
    collector_.completeness.set_complete(true);
  }

  Result Ask(std::vector<std::string> arguments) {
    arguments.push_back("--collector");
    arguments.push_back(Socket("query.sock"));
    return Postern(arguments);
  }

  static Event Attempt(const std::string& host) {
    Event event;
    event.set_kind(Event::CONNECT);
    event.set_time_ns(kAfternoon - 60 * kSecond);
    event.set_host(host);
    event.set_verdict(Event::DENIED);
    event.set_rule("default");
    event.set_pid(4242);
    event.set_user("www-data");
    event.set_exe("/usr/bin/perl");
    event.set_destination("192.0.2.25");
    event.set_port(25);
    return event;
  }

  FakeCollector collector_;
};

TEST_F(CollectorCommandsTest, WithoutATimeTheLastDayIsAskedForAndSaidSo) {
  collector_.events = {Attempt("web1")};
  const Result result = Ask({"query"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(collector_.found.filter().since_ns(), kAfternoon - 24 * kHour);
  EXPECT_FALSE(collector_.found.filter().has_until_ns());
  EXPECT_EQ(result.out,
            "Attempts of the last 24 hours, since 2026-02-28 14:30:00 UTC (--since, --until and "
            "--at choose another time)\n"
            "TIME UTC             HOST  VERDICT  USER       PID  EXE (SCRIPT)   DESTINATION    "
            "RULE\n"
            "2026-03-01 14:29:00  web1  denied   www-data  4242  /usr/bin/perl  192.0.2.25:25  "
            "default\n"
            "The record is complete for this time.\n");
}

TEST_F(CollectorCommandsTest, AWindowReachesToBothSidesOfItsTime) {
  const Result result = Ask({"query", "--at", "2026-03-01 14:30", "--window", "15m"});
  EXPECT_EQ(collector_.found.filter().since_ns(), kAfternoon - kHour / 4);
  EXPECT_EQ(collector_.found.filter().until_ns(), kAfternoon + kHour / 4 + 1);
  EXPECT_THAT(result.out,
              StartsWith("Attempts from 2026-03-01 14:15:00 to 2026-03-01 14:45:00 UTC, up to now, "
                         "2026-03-01 14:30:00: later has not happened yet\n"));
  EXPECT_THAT(result.out, HasSubstr("None matched.\n"));
  Ask({"query", "--at", "2026-03-01T14:30Z"});
  EXPECT_EQ(collector_.found.filter().since_ns(), kAfternoon - kHour / 4);
}

TEST_F(CollectorCommandsTest, TimesBeforeNowAreReadLikeTimesOfDay) {
  Ask({"query", "--since", "-2h", "--until", "-30m"});
  EXPECT_EQ(collector_.found.filter().since_ns(), kAfternoon - 2 * kHour);
  EXPECT_EQ(collector_.found.filter().until_ns(), kAfternoon - kHour / 2);
  Ask({"query", "--since=-1d"});
  EXPECT_EQ(collector_.found.filter().since_ns(), kAfternoon - 24 * kHour);
}

TEST_F(CollectorCommandsTest, EveryFilterReachesTheCollector) {
  const Result result =
      Ask({"query",         "--host",    "web1",       "--host", "web2",       "--user",
           "www-data",      "--uid",     "33",         "--uid",  "0",          "--exe",
           "/usr/bin/php*", "--script",  "/x.php",     "--to",   "10.0.0.0/8", "--to",
           "2001:db8::/32", "--port",    "25",         "--port", "587",        "--verdict",
           "denied",        "--verdict", "would_deny", "--rule", "default",    "--kind",
           "raw_socket",    "--limit",   "7"});
  EXPECT_EQ(result.err, "");
  const v1::Filter& filter = collector_.found.filter();
  EXPECT_THAT(filter.hosts(), ElementsAre("web1", "web2"));
  EXPECT_THAT(filter.users(), ElementsAre("www-data"));
  EXPECT_THAT(filter.uids(), ElementsAre(33, 0));
  EXPECT_THAT(filter.exes(), ElementsAre("/usr/bin/php*"));
  EXPECT_THAT(filter.scripts(), ElementsAre("/x.php"));
  EXPECT_THAT(filter.destinations(), ElementsAre("10.0.0.0/8", "2001:db8::/32"));
  EXPECT_THAT(filter.ports(), ElementsAre(25, 587));
  EXPECT_THAT(filter.verdicts(), ElementsAre(Event::DENIED, Event::WOULD_DENY));
  EXPECT_THAT(filter.rules(), ElementsAre("default"));
  EXPECT_THAT(filter.kinds(), ElementsAre(Event::RAW_SOCKET));
  EXPECT_EQ(collector_.found.limit(), 7u);
}

TEST_F(CollectorCommandsTest, CanariesAreAskedForOnlyWhereTold) {
  Ask({"query"});
  EXPECT_FALSE(collector_.found.filter().canaries());
  Ask({"query", "--canary"});
  EXPECT_TRUE(collector_.found.filter().canaries());
}

TEST_F(CollectorCommandsTest, AnIpv6DestinationMayStandInBrackets) {
  Ask({"query", "--to", "[2001:db8::1]", "--to", "[2001:db8::]/32", "--to", "2001:db8::2"});
  EXPECT_THAT(collector_.found.filter().destinations(),
              ElementsAre("2001:db8::1", "2001:db8::/32", "2001:db8::2"));
}

TEST_F(CollectorCommandsTest, OnlyATerminalIsSparedTheWholeAnswer) {
  Ask({"query"});
  EXPECT_EQ(collector_.found.limit(), 0u);
  width_ = 80;
  Ask({"query"});
  EXPECT_EQ(collector_.found.limit(), 1000u);
  Ask({"query", "--limit", "0"});
  EXPECT_EQ(collector_.found.limit(), 0u);
  Ask({"query", "--json"});
  EXPECT_EQ(collector_.found.limit(), 0u);
}

TEST_F(CollectorCommandsTest, AnIncompleteRecordExitsWithThreeAndSaysSoLast) {
  collector_.completeness.set_complete(false);
  collector_.completeness.add_silent_hosts("web2");
  const Result result = Ask({"query"});
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.out, EndsWith("The record is NOT complete for this time: 1 host silent.\n"));
  EXPECT_EQ(Ask({"query", "--json"}).code, 3);
  EXPECT_EQ(Ask({"query", "--group-by", "user"}).code, 3);
}

TEST_F(CollectorCommandsTest, JsonIsOneObjectALineAndCompletenessTheLast) {
  collector_.events = {Attempt("web1"), Attempt("web2")};
  const Result result = Ask({"query", "--json", "--at", "2026-03-01T14:30Z"});
  const std::vector<std::string> lines = absl::StrSplit(result.out, '\n');
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(json::parse(lines[0]).at("host"), "web1");
  EXPECT_EQ(json::parse(lines[1]).at("time"), "2026-03-01T14:29:00.000000000Z");
  const json last = json::parse(lines[2]);
  EXPECT_EQ(last.at("kind"), "completeness");
  EXPECT_EQ(last.at("complete"), true);
  EXPECT_EQ(last.at("since"), "2026-03-01T14:15:00.000000000Z");
  EXPECT_EQ(last.at("until"), "2026-03-01T14:30:00.000000001Z");
  now_ = kAfternoon + kHour;
  const Result later = Ask({"query", "--at", "2026-03-01T14:30Z"});
  EXPECT_THAT(later.out,
              StartsWith("Attempts from 2026-03-01 14:15:00 to 2026-03-01 14:45:00 UTC\n"));
  EXPECT_EQ(lines[3], "");
}

TEST_F(CollectorCommandsTest, LongAnswersArriveWhole) {
  for (int i = 0; i < 2500; ++i) {
    collector_.events.push_back(Attempt("web1"));
    collector_.events.back().set_pid(static_cast<uint32_t>(100'000 + i));
  }
  width_ = 80;
  const Result result = Ask({"query", "--limit", "0"});
  const std::vector<std::string> lines = absl::StrSplit(result.out, '\n');
  // Two of introduction, headings, rows, what is left out, completeness, what
  // follows the last break.
  EXPECT_EQ(lines.size(), 2 + 1 + 2500 + 1 + 1 + 1u);
  for (const std::string& line : lines) EXPECT_LE(DisplayWidth(line), 80u);
}

TEST_F(CollectorCommandsTest, GroupsAreATableWithTheirAttempts) {
  v1::Group* group = &collector_.groups.emplace_back();
  group->add_values("www-data");
  group->add_values("25");
  group->set_count(42);
  group->set_first_ns(kAfternoon - kHour);
  group->set_last_ns(kAfternoon);
  v1::Group* unknown = &collector_.groups.emplace_back(*group);
  unknown->set_values(0, "");
  unknown->set_count(1);
  const Result result = Ask({"query", "--since", "2026-03-01", "--group-by", "user,port"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(collector_.grouped.fields(), ElementsAre("user", "port"));
  EXPECT_EQ(result.out,
            "Attempts since 2026-03-01 00:00:00 UTC\n"
            "USER      PORT  ATTEMPTS  FIRST UTC            LAST UTC\n"
            "www-data    25        42  2026-03-01 13:30:00  2026-03-01 14:30:00\n"
            "-           25         1  2026-03-01 13:30:00  2026-03-01 14:30:00\n"
            "The record is complete for this time.\n");
}

TEST_F(CollectorCommandsTest, GroupsOfLongPathsFitEightyColumnsWhole) {
  v1::Group* group = &collector_.groups.emplace_back();
  group->add_values("/usr/sbin/php-fpm8.2");
  group->add_values("/var/www/html/wp-content/uploads/2026/02/x.php");
  group->add_values("would_deny");
  group->add_values("2001:db8:1234:5678:9abc:def0:1234:5678");
  group->set_count(42);
  group->set_first_ns(kAfternoon - kHour);
  group->set_last_ns(kAfternoon);
  width_ = 80;
  const Result result =
      Ask({"query", "--since", "2026-03-01", "--group-by", "exe,script,verdict,destination"});
  EXPECT_EQ(result.out,
            "Attempts since 2026-03-01 00:00:00 UTC\n"
            "VERDICT     DESTINATION                 ATTEMPTS  FIRST UTC 2026  LAST UTC 2026\n"
            "    EXE  SCRIPT\n"
            "would_deny  …                                 42  03-01 13:30:00  03-01 14:30:00\n"
            "    /usr/sbin/php-fpm8.2  /var/www/html/wp-content/uploads/2026/02/x.php\n"
            "    2001:db8:1234:5678:9abc:def0:1234:5678\n"
            "The record is complete for this time.\n");
}

TEST_F(CollectorCommandsTest, GroupsAsJsonNameTheirFields) {
  v1::Group* group = &collector_.groups.emplace_back();
  group->add_values("");
  group->add_values("25");
  group->set_count(42);
  group->set_first_ns(kAfternoon);
  group->set_last_ns(kAfternoon);
  const Result result = Ask({"query", "--group-by", "user", "--group-by", "port", "--json"});
  EXPECT_THAT(result.out, StartsWith("{\"kind\":\"group\",\"port\":25,\"count\":42,"
                                     "\"first\":\"2026-03-01T14:30:00.000000000Z\","
                                     "\"last\":\"2026-03-01T14:30:00.000000000Z\"}\n"
                                     "{\"kind\":\"completeness\""));
}

TEST_F(CollectorCommandsTest, AnAnswerThatBreaksOffIsAnErrorWhateverCameBefore) {
  collector_.events = {Attempt("web1")};
  collector_.breaks_off = true;
  const Result result = Ask({"query", "--json"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("broke off: it does not say whether the record is complete"));
}

TEST_F(CollectorCommandsTest, AFailedCollectorIsOneLine) {
  collector_.failure = "disk I/O error";
  for (const char* command : {"query", "hosts"}) {
    const Result result = Ask({command});
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.err, "postern: the collector at " + Socket("query.sock") +
                              " could not answer: disk I/O error\n");
  }
}

TEST_F(CollectorCommandsTest, HostsAreListedWithWhatMatters) {
  v1::Host* host = collector_.hosts.add_hosts();
  host->set_host("web1.example.net");
  host->set_version("0.1.0");
  host->set_last_seen_ns(kAfternoon);
  host->set_connected(true);
  host->set_healthy(true);
  host->set_mode("enforce");
  host->set_generation(3);
  v1::Host* away = collector_.hosts.add_hosts();
  *away = *host;
  away->set_host("db1.example.net");
  away->set_connected(false);
  away->set_events_lost(12);
  v1::Host* silent = collector_.hosts.add_hosts();
  *silent = *host;
  silent->set_host("db2.example.net");
  silent->set_silent(true);
  silent->set_denied(9);
  v1::Host* stopped = collector_.hosts.add_hosts();
  *stopped = *away;
  stopped->set_host("db3.example.net");
  stopped->set_stopped(true);
  width_ = 80;
  const Result result = Ask({"hosts"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out,
            "HOST              LAST SEEN UTC        STATE    MODE     LOST  POLICY  VERSION\n"
            "web1.example.net  2026-03-01 14:30:00  healthy  enforce     0       3  0.1.0\n"
            "db1.example.net   2026-03-01 14:30:00  away     enforce    12       3  0.1.0\n"
            "db2.example.net   2026-03-01 14:30:00  silent   enforce     0       3  0.1.0\n"
            "db3.example.net   2026-03-01 14:30:00  stopped  enforce    12       3  0.1.0\n");
  const std::vector<std::string> lines = absl::StrSplit(Ask({"hosts", "--json"}).out, '\n');
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(json::parse(lines[2]).at("silent"), true);
  EXPECT_EQ(json::parse(lines[2]).at("denied"), 9);
  EXPECT_EQ(json::parse(lines[3]).at("stopped"), true);
  EXPECT_EQ(json::parse(lines[1]).at("connected"), false);
  EXPECT_EQ(json::parse(lines[1]).at("events_lost"), 12);
}

TEST_F(CollectorCommandsTest, WithoutAHostItIsSaidHowOneGetsThere) {
  EXPECT_THAT(Ask({"hosts"}).out, HasSubstr("No agent has reported yet"));
}

}  // namespace
}  // namespace postern::cli
