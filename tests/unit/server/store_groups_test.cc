// SPDX-License-Identifier: Apache-2.0
// Groups of SQLite files that do not fit in the memory that they may take.
#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "server/store/address.h"
#include "server/store/sqlite_reader.h"
#include "tests/unit/server/sqlite_fixture.h"

namespace postern::server {
namespace {

using ::testing::Gt;
using ::testing::SizeIs;

// A group takes no less: two hundred at most.
constexpr size_t kGroupBytes = 32;
constexpr size_t kLittle = 200 * kGroupBytes;

class StoreGroupsTest : public SqliteTest {
 protected:
  StoreGroupsTest() { sqlite().limits.events = 400; }

  // Three hosts, in partitions of their own numbers for the same host and exe.
  void WriteManySorts() {
    for (int part = 0; part < 3; ++part) {
      for (int host = 2; host >= 0; --host) {
        std::vector<v1::Event> events;
        for (int i = 0; i < 200; ++i) {
          const int number = part * 200 + i;
          v1::Event event = Connect(kStart + number * kMinute + host * kSecond);
          event.set_repeats(static_cast<uint64_t>(number % 4));
          event.set_last_time_ns(event.time_ns() + static_cast<uint64_t>(number % 3) * kMinute);
          event.set_exe("/tmp/" + std::to_string((number * 7 + host) % 599));
          if (number % 5 != 0) event.set_destination(DestinationOf(number * (host + 1)));
          if (number % 6 != 0) event.set_port(number % 6 == 1 ? 70'000u : 25u);
          event.set_verdict(number % 2 == 0 ? v1::Event::DENIED : v1::Event::ALLOWED);
          events.push_back(event);
        }
        Write("web" + std::to_string(host), events);
      }
    }
  }

  static std::string DestinationOf(int number) {
    const std::string last = std::to_string(number % 250);
    return number % 3 == 0 ? "2001:db8::" + last : "192.0.2." + last;
  }

  static std::string ValueOf(GroupField field, const v1::Event& event) {
    switch (field) {
      case GroupField::kHost:
        return event.host();
      case GroupField::kExe:
        return event.exe();
      case GroupField::kPort:
        return event.port() != 0 ? std::to_string(event.port()) : "";
      case GroupField::kVerdict:
        return event.verdict() == v1::Event::DENIED ? "denied" : "allowed";
      default:
        return event.destination();
    }
  }

  // Count, last and first time, values.
  using Line = std::tuple<uint64_t, uint64_t, uint64_t, std::vector<std::string>>;
  // By the events that the filter finds, in the order of lines.
  std::vector<Line> Expected(const EventFilter& filter, const std::vector<GroupField>& fields) {
    std::map<std::vector<std::string>, Line> groups;
    for (const v1::Event& event : Found(filter)) {
      std::vector<std::string> values;
      values.reserve(fields.size());
      for (const GroupField field : fields) values.push_back(ValueOf(field, event));
      const uint64_t end = std::max(event.time_ns(), event.last_time_ns());
      Line& line = groups.try_emplace(values, 0, 0, event.time_ns(), values).first->second;
      std::get<0>(line) += event.repeats() + 1;
      std::get<1>(line) = std::max(std::get<1>(line), end);
      std::get<2>(line) = std::min(std::get<2>(line), event.time_ns());
    }
    std::vector<Line> lines;
    lines.reserve(groups.size());
    for (const auto& [values, line] : groups) lines.push_back(line);
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  GroupPage Ask(const EventFilter& filter, const std::vector<GroupField>& fields, uint32_t limit,
                size_t max_bytes) {
    const absl::StatusOr<std::unique_ptr<SqliteReader>> reader =
        SqliteReader::Open(File(), max_bytes);
    EXPECT_TRUE(reader.ok()) << reader.status();
    absl::StatusOr<GroupPage> page = (*reader)->Group(filter, fields, limit, [] { return false; });
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() ? *std::move(page) : GroupPage();
  }

  static std::vector<Line> LinesOf(const GroupPage& page) {
    std::vector<Line> lines;
    for (const v1::Group& group : page.groups) {
      lines.emplace_back(group.count(), group.last_ns(), group.first_ns(),
                         std::vector<std::string>(group.values().begin(), group.values().end()));
    }
    return lines;
  }
};

TEST_F(StoreGroupsTest, WhatMemoryDoesNotHoldIsTheSameAnswer) {
  WriteManySorts();
  ASSERT_THAT(CountParts(), Gt(2u));
  const std::vector<GroupField> kFields[] = {
      {GroupField::kDestination},
      {GroupField::kDestination, GroupField::kPort, GroupField::kVerdict},
      {GroupField::kHost, GroupField::kDestination},
      {GroupField::kExe},
      {GroupField::kPort, GroupField::kExe, GroupField::kHost}};
  EventFilter all;
  EventFilter window;
  window.window = {kStart + 20 * kMinute + 1, kStart + 9 * kHour + 5 * kMinute};
  EventFilter hosts = window;
  hosts.hosts = {"web2", "web0"};
  EventFilter network;
  network.destinations = ParseRanges("192.0.2.0/24");
  EventFilter exes;
  exes.exes = {{"/tmp/1", /*prefix=*/true}};
  exes.verdicts = {v1::Event::DENIED};
  for (const EventFilter& filter : {all, window, hosts, network, exes}) {
    for (const std::vector<GroupField>& fields : kFields) {
      const std::vector<Line> expected = Expected(filter, fields);
      const GroupPage whole = Ask(filter, fields, 0, GroupSums::kMaxBytes);
      const GroupPage little = Ask(filter, fields, 0, kLittle);
      std::vector<Line> sorted = LinesOf(little);
      EXPECT_EQ(sorted, LinesOf(whole));
      std::sort(sorted.begin(), sorted.end());
      EXPECT_EQ(sorted, expected);
      EXPECT_FALSE(whole.truncated || little.truncated);
      for (size_t i = 1; i < little.groups.size(); ++i) {
        EXPECT_GE(std::make_pair(little.groups[i - 1].count(), little.groups[i - 1].last_ns()),
                  std::make_pair(little.groups[i].count(), little.groups[i].last_ns()));
      }
    }
  }
}

TEST_F(StoreGroupsTest, WhatMemoryDoesNotHoldIsCutAtTheSameGroup) {
  WriteManySorts();
  for (const std::vector<GroupField>& fields :
       {std::vector<GroupField>{GroupField::kHost, GroupField::kDestination},
        std::vector<GroupField>{GroupField::kExe}}) {
    const std::vector<Line> all = LinesOf(Ask({}, fields, 0, kLittle));
    ASSERT_THAT(all.size() * kGroupBytes, Gt(2 * kLittle));
    const auto total = static_cast<uint32_t>(all.size());
    for (const uint32_t limit : {1u, 7u, total - 1}) {
      const GroupPage page = Ask({}, fields, limit, kLittle);
      EXPECT_TRUE(page.truncated);
      EXPECT_EQ(LinesOf(page), std::vector<Line>(all.begin(), all.begin() + limit));
    }
    const GroupPage page = Ask({}, fields, total, kLittle);
    EXPECT_FALSE(page.truncated);
    EXPECT_THAT(page.groups, SizeIs(total));
  }
}

}  // namespace
}  // namespace postern::server
