// SPDX-License-Identifier: Apache-2.0
// Every attempt is accounted for, however fast they come.
#include <set>

#include "absl/strings/str_cat.h"
#include "bpf/abi/event.h"
#include "bpf/abi/state.h"
#include "tests/kernel/kernel_test.h"

namespace postern::testing {
namespace {

using ::testing::ElementsAre;

class CoalescingTest : public KernelTest {
 protected:
  CoalescingTest() : KernelTest(SensorOf::kSuite) {}

  void Hammer(std::vector<std::string> options) {
    options.insert(options.end(), {"--uid=33", "--quiet", "--deadline=250"});
    RunToEnd(ConnectLine(options));
  }
};

TEST_F(CoalescingTest, AHammeringProcessIsCountedWhole) {
  Enforce({});
  Hammer({"--count=50000"});
  EXPECT_EQ(Attempts(), 50000u);
  const Events& events = ReadEvents();
  EXPECT_LE(events.size(), 4u);
  uint64_t with_destination = 0;
  for (const v1::Event& event : events) {
    EXPECT_EQ(event.destination(), kInternet4);
    EXPECT_EQ(event.verdict(), v1::Event::DENIED);
    EXPECT_EQ(event.uid(), kWwwData);
    with_destination += 1 + event.repeats();
  }
  EXPECT_EQ(with_destination, 50000u);
}

TEST_F(CoalescingTest, CountsStayWholeWhileTheyAreFlushed) {
  Enforce({});
  Command first(ConnectLine({"--uid=33", "--quiet", "--deadline=250", "--count=100000"}));
  Command second(ConnectLine({"--uid=105", "--quiet", "--deadline=250", "--count=100000"}));
  // Flushes as fast as it can, under both.
  ReadEventsUntil([this](const Events&) {
    return Counter(POSTERN_COUNTER_VERDICT + uint32_t{POSTERN_VERDICT_DENIED}) >= 200000;
  });
  first.Finish();
  second.Finish();
  EXPECT_EQ(Attempts(), 200000u);
}

TEST_F(CoalescingTest, AttemptsWithOtherIdsAreNoRepeats) {
  policy::Rule games;
  games.name = "nogames";
  games.groups = {{.text = "60", .id = 60}};
  Enforce({games});
  // Group 60 is left and joined again, by one process to one destination.
  RunToEnd(ConnectLine({"--uid=33", "--gid=60", "--egid=33", "--swap-ids", "--count=5"}));
  RunToEnd(ConnectLine({"--uid=33", "--euid=105", "--gid=33", "--swap-ids", "--count=5"}));
  EXPECT_EQ(Attempts(), 10u);
  std::set<std::string> recorded;
  for (const v1::Event& event : ReadEvents()) {
    if (!event.has_euid()) continue;  // stands for repeats: it has what its first has
    recorded.insert(
        absl::StrCat(event.uid(), "/", event.euid(), " ", event.gid(), "/", event.egid()));
  }
  EXPECT_THAT(recorded, ElementsAre("105/33 33/33", "33/105 33/33", "33/33 33/60", "33/33 60/33"));
}

TEST_F(CoalescingTest, EachDestinationIsKeptUpToTheTablesSize) {
  Enforce({});
  Hammer({"--count=4000", "--spread=1000"});
  EXPECT_EQ(Attempts(), 4000u);
  std::map<std::string, uint64_t> attempts;
  for (const v1::Event& event : ReadEvents()) attempts[event.destination()] += 1 + event.repeats();
  EXPECT_EQ(attempts.size(), 1000u);
  for (const auto& [destination, count] : attempts) EXPECT_EQ(count, 4u) << destination;
}

TEST_F(CoalescingTest, PastItsBudgetAUserIsCountedWithoutDestinations) {
  Enforce({});
  constexpr uint64_t kAttempts = POSTERN_REPEAT_ENTRIES + 5000;
  Hammer({absl::StrCat("--count=", kAttempts), absl::StrCat("--spread=", kAttempts)});
  EXPECT_EQ(Attempts(), kAttempts);
  uint64_t whole = 0, spread = 0;
  for (const v1::Event& event : ReadEvents()) {
    EXPECT_EQ(event.uid(), kWwwData);
    if (event.destinations_not_kept()) {
      spread += 1 + event.repeats();
      EXPECT_EQ(event.destination(), "");
    } else {
      ++whole;
    }
  }
  EXPECT_EQ(whole, uint64_t{POSTERN_WHOLE_RECORDS_PER_UID});
  EXPECT_EQ(spread, kAttempts - POSTERN_WHOLE_RECORDS_PER_UID);
}

TEST_F(CoalescingTest, OneUsersFloodLeavesRoomForAnother) {
  Enforce({});
  Hammer({"--count=20000", "--spread=20000"});
  const Report report = RunToEnd(ConnectLine({"--uid=105"})).back();
  const v1::Event event = EventOf(report);
  EXPECT_EQ(event.uid(), kMailer);
  EXPECT_EQ(event.destination(), kInternet4);
  EXPECT_EQ(event.exe(), Attack("connect"));
}

TEST_F(CoalescingTest, ABotThatForksForEachConnectIsCountedWhole) {
  Enforce({});
  Hammer({"--count=6000", "--each=fork"});
  EXPECT_EQ(Attempts(), 6000u);
  EXPECT_EQ(Counter(POSTERN_COUNTER_LOST_DENIED), 0u);
}

TEST_F(CoalescingTest, AFloodOfManyUsersLeavesRoomForAnother) {
  Enforce({});
  // Nobody reads meanwhile. Without a share for each, these would fill the ring.
  uint64_t attempts = 0;
  for (int user = 1000; user < 1012; ++user) {
    RunToEnd(
        ConnectLine({absl::StrCat("--uid=", user), "--quiet", "--count=2000", "--spread=2000"}));
    attempts += 2000;
  }
  const Report victim = RunToEnd(ConnectLine({"--uid=105"})).back();
  EXPECT_EQ(EventOf(victim).exe(), Attack("connect"));
  EXPECT_EQ(Counter(POSTERN_COUNTER_LOST_DENIED), 0u);
  EXPECT_EQ(Attempts(), attempts + 1);
}

TEST_F(CoalescingTest, WhatFindsNoPlaceInTheRingIsCounted) {
  Monitor({AllowAll()});
  // Nobody reads: past half of the ring, 64 records a user fill the rest.
  uint64_t attempts = 0;
  for (int user = 1000; user < 1060; ++user) {
    RunToEnd(ConnectLine(
        {absl::StrCat("--uid=", user), "--quiet", "--nonblock", "--count=400", "--spread=400"}));
    attempts += 400;
  }
  ReadEventsUntil(
      [&](const Events&) { return Attempts() + Counter(POSTERN_COUNTER_LOST_OTHER) >= attempts; });
  EXPECT_EQ(Attempts() + Counter(POSTERN_COUNTER_LOST_OTHER), attempts);
  EXPECT_EQ(Counter(POSTERN_COUNTER_LOST_REPEATS), 0u);
}

}  // namespace
}  // namespace postern::testing
