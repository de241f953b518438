// SPDX-License-Identifier: Apache-2.0
#include "common/event_json.h"

#include <fstream>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace postern {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using v1::Event;

// 2026-03-01T14:30:00Z
constexpr uint64_t kAfternoon = 1'772'375'400'000'000'000;

std::string Golden(const std::string& name) {
  std::ifstream file(std::string(POSTERN_GOLDEN_DIR) + "/" + name);
  EXPECT_TRUE(file.good()) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Every field set.
Event WebShell() {
  Event event;
  event.set_kind(Event::CONNECT);
  event.set_time_ns(kAfternoon + 1);
  event.set_last_time_ns(kAfternoon + 2'000'000'000);
  event.set_repeats(41);
  event.set_destinations_not_kept(true);
  event.set_host("web1.example.net");
  event.set_agent("6f1d");
  event.set_boot("b00t");
  event.set_seq(77);
  event.set_verdict(Event::WOULD_DENY);
  event.set_rule("default");
  event.set_generation(3);
  event.set_pid(4242);
  event.set_tid(4243);
  event.set_ppid(0);
  event.set_uid(33);
  event.set_gid(33);
  event.set_euid(33);
  event.set_egid(33);
  event.set_loginuid(1000);
  event.set_started_as(0);
  event.set_user("www-data");
  event.set_comm("php-fpm8.2");
  event.set_exe("/usr/sbin/php-fpm8.2");
  event.set_exe_cut(true);
  event.set_exe_unlinked(true);
  event.set_exe_trusted(true);
  event.set_script("/var/www/html/wp-content/uploads/x.php");
  event.add_args("php-fpm: \"pool\" www");
  event.add_args("");
  event.add_args("caf\u00e9 \\x1b[31m");
  event.set_args_omitted_bytes(9000);
  event.set_args_cut_at(2);
  event.set_identity(Event::EXEC);
  v1::Ancestor* init = event.add_ancestors();
  init->set_pid(1);
  init->set_comm("systemd");
  init->set_exe("/usr/lib/systemd/systemd");
  event.add_ancestors()->set_pid(99);
  event.set_ancestors_omitted(5);
  event.set_exec_time_ns(kAfternoon - 1);
  v1::File* file = event.mutable_exe_file();
  file->set_device("254:1");
  file->set_inode(131'072);
  file->set_generation(7);
  file->set_change_time_ns(kAfternoon - 86'400'000'000'000);
  file->set_owner(0);
  file->set_mode(0100755);
  event.set_unit("/system.slice/php8.2-fpm.service");
  event.set_cgroup("/system.slice/php8.2-fpm.service");
  event.set_container("3f4e");
  event.set_cgroup_id(1);
  event.set_user_namespace(4'026'531'837);
  event.set_network_namespace(18'446'744'073'709'551'615u);
  event.set_socket(12);
  event.set_in_container(true);
  event.set_in_user_namespace(true);
  event.set_family("ipv6");
  event.set_destination("2001:db8::25");
  event.set_port(25);
  event.set_protocol("tcp");
  return event;
}

Event Missing() {
  Event event;
  event.set_kind(Event::GAP);
  event.set_time_ns(kAfternoon);
  event.set_host("web1.example.net");
  event.mutable_gap()->set_reason(v1::Gap::RING_DENIED_FULL);
  event.mutable_gap()->set_count(12);
  event.mutable_gap()->set_from_ns(kAfternoon - 5);
  event.mutable_gap()->set_to_ns(kAfternoon);
  return event;
}

Event PolicyChange() {
  Event event;
  event.set_kind(Event::POLICY);
  event.set_time_ns(kAfternoon);
  event.set_host("web1.example.net");
  event.set_generation(4);
  event.set_message("mode is now enforce");
  return event;
}

TEST(EventJsonTest, KeysAndValuesAreThoseOfSchemaVersionOne) {
  const std::string lines = EventToJson(WebShell()) + "\n" + EventToJson(Missing()) + "\n" +
                            EventToJson(PolicyChange()) + "\n";
  EXPECT_EQ(lines, Golden("event_v1.jsonl"));
}

TEST(EventJsonTest, WhatIsAbsentHasNoKey) { EXPECT_EQ(EventToJson(Event()), "{}"); }

TEST(EventJsonTest, AZeroThatIsKnownHasItsKey) {
  Event event;
  event.set_uid(0);
  event.set_started_as(0);
  EXPECT_EQ(EventToJson(event), R"({"uid":0,"started_as":0})");
}

TEST(EventJsonTest, NoLoginUidHasNoKey) {
  Event event;
  event.set_loginuid(0xffffffff);
  EXPECT_EQ(EventToJson(event), "{}");
}

TEST(EventJsonTest, HostileTextStaysOnOneLineAndInItsString) {
  Event event;
  event.set_comm("a\"b\\\n\r\t\x1b[31m\x7f");
  event.add_args("\",\"verdict\":\"allowed");
  const std::string line = EventToJson(event);
  EXPECT_THAT(line, Not(HasSubstr("\n")));
  EXPECT_THAT(line, Not(HasSubstr("\x1b")));
  const auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed.at("comm"), event.comm());
  EXPECT_EQ(parsed.at("args").at(0), event.args(0));
  EXPECT_FALSE(parsed.contains("verdict"));
}

TEST(EventJsonTest, BytesThatAreNotUtf8AreReplacedNotThrown) {
  Event event;
  event.set_comm("x\xff\xc0y\xe2\x82");
  EXPECT_EQ(nlohmann::json::parse(EventToJson(event)).at("comm"), "x\ufffd\ufffdy\ufffd");
}

TEST(EventJsonTest, ValuesOfANewerVersionAreShownByNumber) {
  Event event;
  event.set_kind(static_cast<Event::Kind>(42));
  event.set_verdict(static_cast<Event::Verdict>(43));
  event.set_identity(static_cast<Event::Identity>(44));
  EXPECT_EQ(EventToJson(event),
            R"({"kind":"unknown_42","verdict":"unknown_43","identity":"unknown_44"})");
}

TEST(EventJsonTest, VerdictNamesAreReadBack) {
  for (const Event::Verdict verdict : kVerdicts) {
    EXPECT_EQ(VerdictFromName(VerdictName(verdict)), verdict);
  }
  EXPECT_EQ(VerdictFromName("would_deny"), Event::WOULD_DENY);
  EXPECT_EQ(VerdictFromName("WOULD_DENY"), std::nullopt);
  EXPECT_EQ(VerdictFromName(""), std::nullopt);
}

}  // namespace
}  // namespace postern
