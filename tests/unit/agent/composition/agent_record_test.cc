// SPDX-License-Identifier: Apache-2.0
// What happened is on record, and so is what nobody saw.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/unit/agent/composition/agent_fixture.h"
#include "tests/unit/agent/fakes/fake_collector.h"

namespace postern::agent {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST_F(AgentTest, AnAttemptIsInTheLocalLogAndCounted) {
  Start();
  kernel_.Connect(0, POSTERN_VERDICT_WOULD_DENY, "/usr/bin/perl", 0);
  Eventually([&] { return EventLog().find("would_deny") != std::string::npos; }, "the event");
  EXPECT_THAT(EventLog(), HasSubstr("\"rule\":\"env\""));
  EXPECT_THAT(EventLog(), HasSubstr("agent started"));
  EXPECT_EQ(Status().counters().would_deny(), 1u);
  EXPECT_EQ(Status().spool().events(), 0u) << "nobody collects";
}

TEST_F(AgentTest, WhatIsTakenReachesTheCollectorOnceAcrossStops) {
  FakeCollector collector;
  collector.Start(folder_ / "c.sock");
  Write(absl::StrCat("collector: {address: 'unix:", folder_ / "c.sock", "'}\n"));
  Start();
  for (int i = 0; i < 10; ++i) kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  collector.ExpectEvents(11);
  StopAgent();
  kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Start();
  Eventually(
      [&] {
        size_t connects = 0;
        for (const v1::Event& event : collector.events()) {
          connects += event.kind() == v1::Event::CONNECT ? 1 : 0;
        }
        return connects == 11;
      },
      "eleven attempts at the collector");
  EXPECT_EQ(collector.hellos().back().state().mode(), "monitor");
  EXPECT_TRUE(collector.hellos().back().state().healthy());
  EXPECT_EQ(collector.batches_with_holes(), 0u);
}

TEST_F(AgentTest, TimeWithoutHooksIsAGapOfWhichTheCollectorHearsAtOnce) {
  FakeCollector collector;
  collector.Start(folder_ / "c.sock");
  Write(absl::StrCat("on_stop: release\ncollector: {address: 'unix:", folder_ / "c.sock", "'}\n"));
  Start();
  collector.ExpectEvents(1);
  StopAgent();
  EXPECT_EQ(GapsAt(collector).size(), 0u);
  const auto stopped = static_cast<uint64_t>(absl::ToUnixNanos(absl::Now()));
  Start();
  Eventually([&] { return !GapsAt(collector).empty(); }, "the gap");
  const v1::Gap gap = GapsAt(collector).front();
  EXPECT_EQ(gap.reason(), v1::Gap::NOT_WATCHED);
  EXPECT_LE(gap.from_ns(), stopped);
  EXPECT_GE(gap.to_ns(), stopped);
  // Before the gap itself has arrived.
  const uint64_t pending = collector.hellos().back().state().oldest_pending_ns();
  EXPECT_GT(pending, 0u);
  EXPECT_LE(pending, gap.from_ns());
}

TEST_F(AgentTest, TimeWithoutACollectorIsAGapOfWhichTheNextOneHears) {
  FakeCollector collector;
  collector.Start(folder_ / "c.sock");
  const std::string with = absl::StrCat("collector: {address: 'unix:", folder_ / "c.sock", "'}\n");
  Write(with);
  Start();
  collector.ExpectEvents(1);
  Write("");
  agent_->Reload();
  Eventually([&] { return !Status().collector().configured(); }, "the collector to be gone");
  kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Eventually([&] { return EventLog().find("\"connect\"") != std::string::npos; }, "the event");
  const auto alone = static_cast<uint64_t>(absl::ToUnixNanos(absl::Now()));
  StopAgent();
  Start();
  EXPECT_FALSE(Status().collector().configured());
  Write(with);
  agent_->Reload();
  Eventually([&] { return !GapsAt(collector).empty(); }, "the gap");
  const v1::Gap gap = GapsAt(collector).front();
  EXPECT_EQ(gap.reason(), v1::Gap::NO_COLLECTOR);
  EXPECT_LT(gap.from_ns(), alone);
  EXPECT_GT(gap.to_ns(), alone);
  EXPECT_EQ(GapsAt(collector).size(), 1u);
}

TEST_F(AgentTest, LossesInTheKernelAreInTheLogAndInStatus) {
  Start();
  kernel_.Lose(POSTERN_COUNTER_LOST_OTHER, 5);
  Eventually([&] { return EventLog().find("ring_other_full") != std::string::npos; }, "the gap");
  EXPECT_EQ(Status().counters().lost(), 5u);
}

TEST_F(AgentTest, AHookThatIsLostIsRecordedOncePerChange) {
  Start();
  const std::string lost = "hook connect4 is not attached any more: somebody took it off";
  const auto count = [&](const std::string& text) {
    const std::string log = EventLog();
    size_t times = 0;
    for (size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++times;
    return times;
  };
  kernel_.Detach();
  Eventually([&] { return count(lost) == 1; }, "the loss to be recorded");
  EXPECT_THAT(Status().problems(), Contains(HasSubstr("hook connect4 is not attached")));
  kernel_.Attach();
  Eventually([&] { return count("hook connect4 is attached again") == 1; }, "the return");
  EXPECT_EQ(count(lost), 1u);
  kernel_.Detach();
  Eventually([&] { return count(lost) == 2; }, "the second loss to be recorded");
}

TEST_F(AgentTest, ItProvesItselfAtTheStartAndAfterEachSwitch) {
  FakeCollector collector;
  collector.Start(folder_ / "c.sock");
  Write(absl::StrCat("collector: {address: 'unix:", folder_ / "c.sock", "'}\n"));
  Start();
  Eventually([&] { return Status().has_proven_ns(); }, "the first proof");
  EXPECT_EQ(kernel_.canaries(), 1u);
  EXPECT_THAT(Status().problems(), IsEmpty());
  EXPECT_EQ(Status().counters().canaries(), 2u);
  EXPECT_EQ(Status().counters().denied() + Status().counters().seen(), 0u);
  Eventually([&] { return collector.proofs().size() == 2; }, "its records at the collector");
  const uint64_t first = Status().proven_ns();
  SetMode("enforce");
  Eventually([&] { return Status().proven_ns() > first; }, "the proof of the new generation");
  EXPECT_THAT(EventLog(), Not(HasSubstr("canary")));
}

TEST_F(AgentTest, WhatIsNotProvenIsAProblemAndAnEventUntilItIs) {
  FakeCollector collector;
  collector.Start(folder_ / "c.sock");
  Write(absl::StrCat("collector: {address: 'unix:", folder_ / "c.sock", "'}\n"));
  kernel_.LetPass(true);
  Start();
  Eventually([&] { return !Status().healthy(); }, "status to say so");
  EXPECT_THAT(Status().problems(), ElementsAre(HasSubstr("passed, though Postern denied it")));
  EXPECT_FALSE(Status().has_proven_ns());
  Eventually([&] { return EventLog().find("passed, though") != std::string::npos; }, "the event");
  Eventually(
      [&] {
        for (const v1::Event& event : collector.events()) {
          if (event.kind() == v1::Event::CANARY) return event.host() == "web1";
        }
        return false;
      },
      "the event at the collector");
  kernel_.LetPass(false);
  SetMode("enforce");
  Eventually([&] { return Status().healthy(); }, "the next proof to heal it");
}

TEST_F(AgentTest, AnEarlierConnectionThatStaysOpenIsRecorded) {
  kernel_.not_reset = {"a connection from before the start is denied and stays open"};
  Start();
  Eventually([&] { return absl::StrContains(EventLog(), kernel_.not_reset.front()); },
             "the line to be recorded");
}

TEST_F(AgentTest, TheCollectorHearsWhileAHookIsLost) {
  FakeCollector collector;
  collector.Start(folder_ / "c.sock");
  Write(absl::StrCat("collector: {address: 'unix:", folder_ / "c.sock", "'}\n"));
  Start();
  collector.ExpectEvents(1);
  const auto not_watched = [&] {
    const std::vector<v1::Heartbeat> heartbeats = collector.heartbeats();
    return heartbeats.empty() ? 0 : heartbeats.back().state().not_watched_since_ns();
  };
  kernel_.Detach();
  Eventually([&] { return not_watched() != 0; }, "the collector to hear of the loss");
  kernel_.Attach();
  Eventually([&] { return not_watched() == 0; }, "the collector to hear of the return");
  Eventually([&] { return !GapsAt(collector).empty(); }, "the gap");
  EXPECT_EQ(GapsAt(collector).front().reason(), v1::Gap::NOT_WATCHED);
}

TEST_F(AgentTest, AnEventLogThatCannotBeOpenedIsAProblemUntilItCanBe) {
  std::filesystem::create_directory(folder_ / "events");
  Write("mode: enforce\n");
  Start();
  EXPECT_TRUE(kernel_.attached());
  EXPECT_THAT(Status().problems(), ElementsAre(HasSubstr("events file " + (folder_ / "events"))));
  std::filesystem::remove(folder_ / "events");
  kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Eventually([&] { return EventLog().find("denied") != std::string::npos; }, "the event");
  EXPECT_THAT(Status().problems(), IsEmpty());
}

TEST_F(AgentTest, AfterARotationTheEventLogIsWrittenAnew) {
  Start();
  Eventually([&] { return !EventLog().empty(); }, "the first event");
  std::filesystem::rename(folder_ / "events", folder_ / "events.1");
  agent_->Reload();
  Eventually([&] { return EventLog().find("read again") != std::string::npos; }, "the new file");
}

}  // namespace
}  // namespace postern::agent
