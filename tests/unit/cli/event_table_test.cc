// SPDX-License-Identifier: Apache-2.0
#include "cli/event_table.h"

#include <sstream>
#include <string>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace postern::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using v1::Event;

// 2026-03-01T14:30:00Z
constexpr uint64_t kAfternoon = 1'772'375'400'000'000'000;

Event WebShell() {
  Event event;
  event.set_kind(Event::CONNECT);
  event.set_time_ns(kAfternoon);
  event.set_host("web1.example.net");
  event.set_verdict(Event::WOULD_DENY);
  event.set_rule("default");
  event.set_pid(4242);
  event.set_uid(33);
  event.set_user("www-data");
  event.set_exe("/usr/sbin/php-fpm8.2");
  event.set_script("/var/www/html/wp-content/uploads/x.php");
  event.set_destination("192.0.2.25");
  event.set_port(25);
  event.set_repeats(41);
  return event;
}

Event Mail() {
  Event event;
  event.set_kind(Event::CONNECT);
  event.set_time_ns(kAfternoon - 61'000'000'000);
  event.set_host("web1.example.net");
  event.set_verdict(Event::ALLOWED);
  event.set_rule("postfix");
  event.set_pid(99);
  event.set_uid(105);
  event.set_exe("/usr/lib/postfix/sbin/smtp");
  event.set_destination("2001:db8::25");
  event.set_port(587);
  return event;
}

std::string Printed(const EventTable::Options& options, const std::vector<Event>& events) {
  EventTable table(options);
  for (const Event& event : events) table.Add(event);
  std::ostringstream out;
  table.Print(out);
  table.PrintLeftOut(out);
  return out.str();
}

TEST(EventTableTest, ACanaryThatWasDeniedIsARowAndOneThatFailedIsALine) {
  Event proof = Mail();
  proof.set_kind(Event::CANARY);
  proof.set_verdict(Event::DENIED);
  proof.clear_rule();
  Event failed;
  failed.set_kind(Event::CANARY);
  failed.set_time_ns(kAfternoon);
  failed.set_verdict(Event::ALLOWED);
  failed.set_message("the canary's connect passed");
  const std::string text = Printed({}, {proof, failed});
  EXPECT_THAT(text, HasSubstr("[2001:db8::25]:587  (canary)"));
  EXPECT_THAT(text, HasSubstr("canary: the canary's connect passed"));
}

TEST(EventTableTest, AwayFromATerminalEveryColumnIsThereWhole) {
  EXPECT_EQ(
      Printed({}, {WebShell(), Mail()}),
      "TIME UTC             HOST              VERDICT     USER       PID  EXE (SCRIPT)             "
      "  "
      "                                    DESTINATION         RULE     TIMES\n"
      "2026-03-01 14:30:00  web1.example.net  would_deny  www-data  4242  /usr/sbin/php-fpm8.2 "
      "(/var/www/html/wp-content/uploads/x.php)  192.0.2.25:25       default    ×42\n"
      "2026-03-01 14:28:59  web1.example.net  allowed     105         99  "
      "/usr/lib/postfix/sbin/smtp "
      "                                    [2001:db8::25]:587  postfix\n");
}

TEST(EventTableTest, EightyColumnsHoldWhoWhatAndWhereWithLongPathsBelow) {
  EventTable::Options options;
  options.width = 80;
  options.year = 2026;
  EXPECT_EQ(Printed(options, {WebShell(), Mail()}),
            "TIME UTC 2026   VERDICT     USER       PID  DESTINATION         RULE     TIMES\n"
            "    EXE (SCRIPT)\n"
            "03-01 14:30:00  would_deny  www-data  4242  192.0.2.25:25       default    ×42\n"
            "    /usr/sbin/php-fpm8.2 (/var/www/html/wp-content/uploads/x.php)\n"
            "03-01 14:28:59  allowed     105         99  [2001:db8::25]:587  postfix\n"
            "    /usr/lib/postfix/sbin/smtp\n"
            "Not shown for width: HOST (a wider terminal or --json has all).\n");
}

TEST(EventTableTest, AWiderTerminalHasShortPathsInTheRowAndLongAddressesBelowIt) {
  EventTable::Options options;
  options.width = 120;
  options.year = 2026;
  Event far = Mail();
  far.set_destination("2001:db8:1234:5678:9abc:def0:1234:5678");
  EXPECT_EQ(
      Printed(options, {WebShell(), far}),
      "TIME UTC 2026   VERDICT     USER       PID  EXE (SCRIPT)                   DESTINATION"
      "                    RULE     TIMES\n"
      "03-01 14:30:00  would_deny  www-data  4242  …                              192.0.2.25:25"
      "                  default    ×42\n"
      "    /usr/sbin/php-fpm8.2 (/var/www/html/wp-content/uploads/x.php)\n"
      "03-01 14:28:59  allowed     105         99  /usr/lib/postfix/sbin/smtp     …"
      "                              postfix\n"
      "    [2001:db8:1234:5678:9abc:def0:1234:5678]:587\n"
      "Not shown for width: HOST (a wider terminal or --json has all).\n");
}

TEST(EventTableTest, SeveralHostsAreToldApartInEightyColumns) {
  EventTable::Options options;
  options.width = 80;
  options.year = 2026;
  Event other = Mail();
  other.set_host("db1.example.net");
  const std::string text = Printed(options, {WebShell(), other});
  EXPECT_THAT(text, HasSubstr("\n03-01 14:30:00  web1.example.net  would_deny  www-data"));
  EXPECT_THAT(text, HasSubstr("\n03-01 14:28:59  db1.example.net   allowed"));
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    EXPECT_LE(DisplayWidth(line), 80u);
  }
}

TEST(EventTableTest, RepeatsWithoutDestinationsAreNotShownAsOneDestination) {
  Event event = WebShell();
  event.clear_destination();
  event.set_destinations_not_kept(true);
  EXPECT_THAT(Printed({}, {event}), HasSubstr("(several):25"));
}

TEST(EventTableTest, SocketsWithoutADestinationSayWhatTheyAre) {
  Event raw = WebShell();
  raw.set_kind(Event::RAW_SOCKET);
  raw.set_family("ipv4");
  raw.set_protocol("tcp");
  EXPECT_THAT(Printed({}, {raw}), HasSubstr("raw_socket: ipv4 tcp"));
  raw.set_kind(Event::PACKET_SOCKET);
  raw.set_family("packet");
  raw.set_protocol("all");
  EXPECT_THAT(Printed({}, {raw}), HasSubstr("packet_socket: packet all"));
  Event earlier = WebShell();
  earlier.set_kind(Event::EARLIER_CONNECTION);
  EXPECT_THAT(Printed({}, {earlier}), HasSubstr("192.0.2.25:25 (earlier)"));
}

TEST(EventTableTest, ABinaryThatWasDeletedOrCutIsMarked) {
  Event event = WebShell();
  event.clear_script();
  event.set_exe("/memfd:x");
  event.set_exe_unlinked(true);
  EXPECT_THAT(Printed({}, {event}), HasSubstr("/memfd:x [deleted]"));
  event.set_exe("/deep/perl");
  event.set_exe_cut(true);
  EXPECT_THAT(Printed({}, {event}), HasSubstr("…/deep/perl"));
}

TEST(EventTableTest, GapsAndPolicyChangesAreLinesOfTheirOwn) {
  Event gap;
  gap.set_kind(Event::GAP);
  gap.set_time_ns(kAfternoon);
  gap.set_host("web1");
  gap.mutable_gap()->set_reason(v1::Gap::RING_DENIED_FULL);
  gap.mutable_gap()->set_count(3);
  gap.mutable_gap()->set_from_ns(kAfternoon);
  gap.mutable_gap()->set_to_ns(kAfternoon);
  Event policy;
  policy.set_kind(Event::POLICY);
  policy.set_time_ns(kAfternoon);
  policy.set_message("mode is now enforce");
  EventTable::Options options;
  options.width = 80;
  const std::string text = Printed(options, {gap, policy});
  EXPECT_THAT(text, HasSubstr("2026-03-01 14:30:00  web1  gap: 3 events missing between "));
  EXPECT_THAT(text, HasSubstr("2026-03-01 14:30:00  policy: mode is now enforce\n"));
  EXPECT_THAT(text, Not(HasSubstr("VERDICT")));
}

TEST(EventTableTest, LiveRowsKeepOneLayout) {
  EventTable::Options options;
  options.width = 80;
  options.live = true;
  EventTable table(options);
  std::ostringstream out;
  Event event = Mail();
  event.set_destination("192.0.2.1");
  table.Add(event);
  table.Print(out);
  table.Add(WebShell());
  table.Print(out);
  EXPECT_EQ(out.str(),
            "TIME UTC        VERDICT     USER          PID  DESTINATION        RULE     TIMES\n"
            "    EXE (SCRIPT)\n"
            "03-01 14:28:59  allowed     105            99  192.0.2.1:587      postfix\n"
            "    /usr/lib/postfix/sbin/smtp\n"
            "03-01 14:30:00  would_deny  www-data     4242  192.0.2.25:25      default    ×42\n"
            "    /usr/sbin/php-fpm8.2 (/var/www/html/wp-content/uploads/x.php)\n");
}

TEST(EventTableTest, WhatANarrowTerminalHasNoRoomForIsNamedBeforeLiveRows) {
  EventTable::Options options;
  options.width = 60;
  options.live = true;
  const std::string text = Printed(options, {WebShell()});
  EXPECT_THAT(text, StartsWith("Not shown for width: RULE (a wider terminal or --json has\n"));
  for (const char* kept :
       {"would_deny", "www-data", "4242", "192.0.2.25:25", "/x\n    .php)", "×42"}) {
    EXPECT_THAT(text, HasSubstr(kept));
  }
}

}  // namespace
}  // namespace postern::cli
