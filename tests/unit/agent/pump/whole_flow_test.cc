// SPDX-License-Identifier: Apache-2.0
// From the rings to a collector, across agents that are killed.
#include <algorithm>

#include "agent/uplink/uplink.h"
#include "tests/unit/agent/fakes/fake_collector.h"
#include "tests/unit/agent/pump/fixture.h"

namespace postern::pump {
namespace {

class WholeFlowTest : public PumpTest {
 protected:
  void Connect() {
    uplink::Options options;
    options.addresses = {"unix:" + (folder_ / "c.sock")};
    options.host = "web1";
    options.agent = "a1";
    options.boot = "b1";
    options.state = [] { return v1::AgentState(); };
    options.first_retry = absl::Milliseconds(5);
    options.last_retry = absl::Milliseconds(50);
    auto uplink = uplink::Uplink::Create(options, spool_.get());
    ASSERT_TRUE(uplink.ok()) << uplink.status();
    uplink_ = *std::move(uplink);
  }

  void KillAll() {
    uplink_.reset();
    Kill();
  }

  FakeCollector collector_;
  std::unique_ptr<uplink::Uplink> uplink_;
};

TEST_F(WholeFlowTest, EachAttemptIsAtTheCollectorOnceAcrossKilledAgents) {
  collector_.Start(folder_ / "c.sock");
  std::vector<uint64_t> sequences;
  const auto attempts = [&](int count) {
    for (int i = 0; i < count; ++i) {
      sequences.push_back(
          kernel_.Connect(33, i % 2 == 0 ? POSTERN_VERDICT_DENIED : POSTERN_VERDICT_ALLOWED));
    }
  };
  Connect();
  attempts(20);
  Turn();
  uplink_->Notify();
  collector_.ExpectEvents(20);

  // Killed with events in the rings.
  attempts(20);
  KillAll();
  attempts(20);
  Start();
  Connect();
  Turn();
  uplink_->Notify();
  collector_.ExpectEvents(60);

  // Killed with events in the spool that were delivered and not acknowledged.
  collector_.HoldAcknowledgements(true);
  attempts(20);
  Turn();
  uplink_->Notify();
  collector_.ExpectEvents(80);
  KillAll();
  collector_.HoldAcknowledgements(false);
  attempts(20);
  Start();
  Connect();
  Turn();
  uplink_->Notify();
  collector_.ExpectEvents(100);

  std::vector<uint64_t> received = collector_.sequences();
  std::sort(received.begin(), received.end());
  EXPECT_EQ(received, sequences);
  EXPECT_EQ(collector_.batches_with_holes(), 0u);
}

TEST_F(WholeFlowTest, ALossInTheKernelIsAGapAtTheCollector) {
  collector_.Start(folder_ / "c.sock");
  Connect();
  kernel_.Lose(POSTERN_COUNTER_LOST_DENIED, 7);
  CountUp();
  Turn();
  uplink_->Notify();
  collector_.ExpectEvents(1);
  EXPECT_EQ(collector_.events()[0].gap().reason(), v1::Gap::RING_DENIED_FULL);
  EXPECT_EQ(collector_.events()[0].gap().count(), 7u);
}

TEST_F(WholeFlowTest, RepeatsArriveWithTheNameOfWhoTheyAre) {
  collector_.Start(folder_ / "c.sock");
  Connect();
  const uint64_t first = kernel_.Connect(33, POSTERN_VERDICT_DENIED);
  Turn();
  kernel_.Repeat(first, 1'000'000, POSTERN_VERDICT_DENIED);
  CountUp();
  Turn();
  uplink_->Notify();
  collector_.ExpectEvents(2);
  EXPECT_EQ(collector_.events()[1].repeats(), 999'999u);
  EXPECT_EQ(collector_.events()[1].exe(), "/usr/bin/perl");
}

}  // namespace
}  // namespace postern::pump
