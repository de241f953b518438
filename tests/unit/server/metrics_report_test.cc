// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/metrics/text.h"
#include "tests/support/temporary_folder.h"

namespace postern::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1'767'225'600);

class AgentsTest : public testing::Test {
 protected:
  // Connected, healthy, heard of just now.
  v1::Host& Add() {
    v1::Host& host = hosts_.emplace_back();
    host.set_host(absl::StrCat("web", hosts_.size()));
    host.set_connected(true);
    host.set_healthy(true);
    host.set_mode("monitor");
    host.set_last_seen_ns(Ago(absl::ZeroDuration()));
    return host;
  }
  static uint64_t Ago(absl::Duration age) {
    return static_cast<uint64_t>(absl::ToUnixNanos(kNow - age));
  }
  std::string Text() const {
    std::vector<metrics::Family> families;
    AddAgents(hosts_, kNow, families);
    return metrics::ToText(families);
  }

  std::vector<v1::Host> hosts_;
};

TEST_F(AgentsTest, EachIsInOneState) {
  Add();
  Add().set_connected(false);
  Add().set_silent(true);
  v1::Host& gone = Add();
  gone.set_connected(false);
  gone.set_stopped(true);
  const std::string text = Text();
  for (const char* state : {"connected", "silent", "stopped", "away"}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat("agents{state=\"", state, "\"} 1\n")));
  }
}

TEST_F(AgentsTest, WhatHasNotArrivedCountsByItsAge) {
  Add().set_oldest_pending_ns(Ago(absl::Minutes(10)));
  Add();
  Add().set_oldest_pending_ns(Ago(absl::Hours(2)));
  Add().set_oldest_pending_ns(Ago(-absl::Hours(1)));  // by a clock that is ahead
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("agents_behind{over_seconds=\"60\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("agents_behind{over_seconds=\"300\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("agents_behind{over_seconds=\"3600\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("agents_behind{over_seconds=\"86400\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("agent_lag_max_seconds 7200\n"));
}

// A machine that was given up stays in the store.
TEST_F(AgentsTest, WhoIsGoneHidesNobody) {
  for (const bool said_goodbye : {false, true}) {
    v1::Host& gone = Add();
    gone.set_connected(false);
    gone.set_silent(!said_goodbye);
    gone.set_stopped(said_goodbye);
    gone.set_oldest_pending_ns(Ago(absl::Hours(10'000)));
  }
  EXPECT_THAT(Text(), HasSubstr("agent_lag_max_seconds 0\n"));
  Add().set_oldest_pending_ns(Ago(absl::Minutes(10)));
  EXPECT_THAT(Text(), HasSubstr("agent_lag_max_seconds 600\n"));
  EXPECT_THAT(Text(), HasSubstr("agents_behind{over_seconds=\"300\"} 1\n"));
}

TEST_F(AgentsTest, ThousandsOfHostsAreNoMoreSeriesThanOne) {
  Add();
  const std::string one = Text();
  for (int i = 0; i < 5000; ++i) Add().set_mode(absl::StrCat("mode", i));
  const std::string many = Text();
  EXPECT_EQ(std::count(many.begin(), many.end(), '\n'), std::count(one.begin(), one.end(), '\n'));
  EXPECT_THAT(many, HasSubstr("agents{state=\"connected\"} 5001\n"));
  EXPECT_THAT(many, Not(HasSubstr("web")));
}

TEST_F(AgentsTest, HealthModeAndLossesAreCounted) {
  Add().set_mode("enforce");
  Add().set_healthy(false);
  Add().set_events_lost(3);
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("agents_enforcing 1\n"));
  EXPECT_THAT(text, HasSubstr("agents_unhealthy 1\n"));
  EXPECT_THAT(text, HasSubstr("agents_with_losses 1\n"));
}

TEST(DiskUseTest, IsThatOfTheStoreAlone) {
  TemporaryFolder folder;
  const auto write = [&](const std::string& name, size_t size) {
    std::ofstream(folder / name) << std::string(size, 'x');
  };
  write("events.db", 10'000);
  write("events.db-wal", 20'000);
  std::filesystem::create_directory(folder / "events.db.d");
  write("events.db.d/part", 40'000);
  write("events.dbx", 400'000);
  write("other", 400'000);
  const absl::StatusOr<DiskUse> use = DiskUseOf(folder / "events.db");
  ASSERT_TRUE(use.ok()) << use.status();
  EXPECT_GE(use->bytes, 70'000u);
  EXPECT_LT(use->bytes, 200'000u);
  EXPECT_GT(use->free_bytes, 0u);
  EXPECT_FALSE(DiskUseOf("/no/such/folder/events.db").ok());
}

}  // namespace
}  // namespace postern::server
