// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/uplink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <utility>

#include "tests/support/eventually.h"
#include "tests/support/relay.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/agent/fakes/fake_collector.h"

namespace postern::uplink {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class UplinkTest : public testing::Test {
 protected:
  UplinkTest() { OpenSpool(); }

  void OpenSpool() {
    spool_.reset();
    spool::Options options;
    options.folder = folder_.path();
    options.boot = "b1";
    auto spool = spool::Spool::Open(options);
    EXPECT_TRUE(spool.ok()) << spool.status();
    spool_ = *std::move(spool);
  }

  void Append(uint64_t from, uint64_t to, size_t text_bytes = 0) {
    std::vector<spool::Entry> entries;
    for (uint64_t seq = from; seq <= to; ++seq) {
      spool::Entry entry;
      entry.event.set_kind(v1::Event::CONNECT);
      entry.event.set_seq(seq);
      entry.event.set_time_ns(seq);
      entry.event.set_message(std::string(text_bytes, 'x'));
      entry.origin = seq;
      entries.push_back(entry);
    }
    ASSERT_TRUE(spool_->Append(entries, {}).ok());
    if (uplink_ != nullptr) uplink_->Notify();
  }

  void Connect() { Connect({socket()}); }
  void Connect(std::vector<std::string> addresses) {
    options_.addresses = std::move(addresses);
    options_.host = "web1";
    options_.agent = "a1";
    options_.boot = "b1";
    options_.version = "1";
    options_.state = [this] {
      v1::AgentState state;
      state.set_mode(enforce_ ? "enforce" : "monitor");
      state.set_oldest_pending_ns(behind_since_);
      state.set_stopping(stopping_);
      return state;
    };
    options_.first_retry = absl::Milliseconds(5);
    options_.last_retry = absl::Milliseconds(50);
    auto uplink = Uplink::Create(options_, spool_.get());
    ASSERT_TRUE(uplink.ok()) << uplink.status();
    uplink_ = *std::move(uplink);
  }

  std::string socket() const { return "unix:" + (folder_ / "c.sock"); }

  template <typename Condition>
  void Eventually(const Condition& condition, const char* what) {
    ASSERT_TRUE(support::Eventually(condition)) << "waited for: " << what;
  }
  void ExpectNothingPending() {
    Eventually([&] { return spool_->GetStats()->events == 0; }, "every event acknowledged");
  }

  static std::vector<uint64_t> UpTo(uint64_t last) {
    std::vector<uint64_t> numbers(last);
    std::iota(numbers.begin(), numbers.end(), 1);
    return numbers;
  }

  TemporaryFolder folder_;
  std::atomic<bool> enforce_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> behind_since_ = 0;
  Options options_;
  std::unique_ptr<spool::Spool> spool_;
  FakeCollector collector_;
  std::unique_ptr<Uplink> uplink_;
};

TEST_F(UplinkTest, WhatIsAppendedArrivesOnceAndInOrder) {
  collector_.Start(folder_ / "c.sock");
  Connect();
  for (uint64_t i = 0; i < 50; ++i) Append(i * 100 + 1, i * 100 + 100);
  collector_.ExpectEvents(5000);
  ExpectNothingPending();
  EXPECT_EQ(collector_.sequences(), UpTo(5000));
  EXPECT_EQ(collector_.repeated_batches(), 0u);
  EXPECT_EQ(collector_.batches_with_holes(), 0u);
  EXPECT_TRUE(uplink_->link().last_acknowledged_ns.has_value());
}

TEST_F(UplinkTest, HelloSaysWhoAndWhatIsPending) {
  const uint64_t earlier = spool_->epoch();
  Append(1, 3);
  OpenSpool();
  collector_.Start(folder_ / "c.sock");
  Connect();
  collector_.ExpectEvents(3);
  const v1::Hello hello = collector_.hellos().front();
  EXPECT_EQ(hello.host(), "web1");
  EXPECT_EQ(hello.agent(), "a1");
  EXPECT_EQ(hello.boot(), "b1");
  EXPECT_EQ(hello.version(), "1");
  EXPECT_EQ(hello.epoch(), spool_->epoch());
  EXPECT_THAT(hello.pending_epochs(), ElementsAre(earlier, spool_->epoch()));
  EXPECT_EQ(hello.state().mode(), "monitor");
}

TEST_F(UplinkTest, TheCollectorsClockIsComparedWithEachAnswer) {
  collector_.Start(folder_ / "c.sock");
  options_.unix_is_remote = true;
  Connect();
  Append(1, 1);
  ExpectNothingPending();
  EXPECT_FALSE(uplink_->last_clock_check().has_value()) << "of a collector that tells no time";
  collector_.SetClockAhead(absl::Hours(2));
  Append(2, 2);
  ExpectNothingPending();
  Eventually([&] { return uplink_->last_clock_check().has_value(); }, "the first comparison");
  const ClockCheck behind = *uplink_->last_clock_check();
  EXPECT_FALSE(behind.Agrees());
  EXPECT_LT(behind.ahead, absl::Minutes(-119));
  EXPECT_GT(behind.ahead, absl::Minutes(-121));
  collector_.SetClockAhead(absl::ZeroDuration());
  Append(3, 3);
  Eventually([&] { return uplink_->last_clock_check()->Agrees(); }, "the clocks to agree");
  EXPECT_GT(uplink_->last_clock_check()->boot_ns, behind.boot_ns);
}

TEST_F(UplinkTest, TheClockOfTheSameHostIsNoWitness) {
  collector_.Start(folder_ / "c.sock");
  collector_.SetClockAhead(absl::ZeroDuration());
  Connect();
  Append(1, 1);
  ExpectNothingPending();
  EXPECT_FALSE(uplink_->last_clock_check().has_value());
}

TEST_F(UplinkTest, ACollectorThatIsDownAtStartIsAStateAndItsComingIsNoticed) {
  Connect();
  Append(1, 10);
  Eventually([&] { return !uplink_->link().error.empty(); }, "an error in the link's state");
  EXPECT_FALSE(uplink_->link().connected);
  EXPECT_EQ(uplink_->link().error, socket() + ": No such file or directory");
  collector_.Start(folder_ / "c.sock");
  collector_.ExpectEvents(10);
  ExpectNothingPending();
  EXPECT_TRUE(uplink_->link().connected);
  EXPECT_EQ(uplink_->link().error, "");
}

TEST_F(UplinkTest, AConnectionThatBreaksBeforeTheAcknowledgementRepeatsNothing) {
  collector_.Start(folder_ / "c.sock");
  collector_.HoldAcknowledgements(true);
  Connect();
  Append(1, 100);
  collector_.ExpectEvents(100);
  collector_.Stop();
  EXPECT_EQ(spool_->GetStats()->events, 100u);
  collector_.HoldAcknowledgements(false);
  collector_.Start(folder_ / "c.sock");
  Append(101, 110);
  collector_.ExpectEvents(110);
  ExpectNothingPending();
  EXPECT_EQ(collector_.sequences(), UpTo(110));
  EXPECT_EQ(collector_.batches_with_holes(), 0u);
}

TEST_F(UplinkTest, WhatIsOnItsWayIsBounded) {
  options_.window = 3;
  options_.batch_events = 10;
  options_.batch_age = absl::ZeroDuration();
  collector_.Start(folder_ / "c.sock");
  collector_.HoldAcknowledgements(true);
  Append(1, 1000);
  Connect();
  collector_.ExpectEvents(30);
  // A heartbeat that arrives behind the window shows that no batch was written before it.
  uplink_->NotifyState();
  collector_.ExpectHeartbeats(1);
  EXPECT_EQ(collector_.largest_in_flight(), 3u);
  EXPECT_EQ(collector_.events().size(), 30u);
}

TEST_F(UplinkTest, ASilentCollectorIsGivenUpAndTriedAgain) {
  options_.patience = absl::Milliseconds(50);
  collector_.Start(folder_ / "c.sock");
  collector_.HoldAcknowledgements(true);
  Connect();
  Append(1, 5);
  collector_.ExpectHellos(2);
  collector_.HoldAcknowledgements(false);
  ExpectNothingPending();
  EXPECT_EQ(collector_.sequences(), UpTo(5));
}

TEST_F(UplinkTest, TheNextAddressIsTriedWhereOneFails) {
  collector_.Start(folder_ / "c.sock");
  Connect({"unix:/nonexistent/a", "unix:/nonexistent/b", socket()});
  Append(1, 5);
  collector_.ExpectEvents(5);
  EXPECT_EQ(uplink_->link().address, socket());
}

TEST_F(UplinkTest, AMarkAheadOfTheSpoolOpensANewEpoch) {
  Append(1, 5);
  const uint64_t old = spool_->epoch();
  collector_.SetMark(old, 50);
  collector_.Start(folder_ / "c.sock");
  Connect();
  collector_.ExpectEvents(5);
  EXPECT_NE(spool_->epoch(), old);
  EXPECT_EQ(collector_.sequences(), UpTo(5));
  ExpectNothingPending();
}

TEST_F(UplinkTest, AnotherStoreThatNeverSawTheEpochGetsWhatIsPending) {
  Append(1, 5);
  ASSERT_TRUE(spool_->Acknowledge(spool_->epoch(), 3).ok());
  collector_.Start(folder_ / "c.sock");
  Connect();
  collector_.ExpectEvents(2);
  ExpectNothingPending();
  EXPECT_THAT(collector_.sequences(), ElementsAre(4, 5));
  EXPECT_EQ(collector_.batches_with_holes(), 0u);
}

TEST_F(UplinkTest, ARefusalIsShownAndTriedAgain) {
  collector_.Start(folder_ / "c.sock");
  collector_.Refuse(absl::FailedPreconditionError("this epoch is in use by another stream"));
  Connect();
  Append(1, 5);
  Eventually([&] { return !uplink_->link().error.empty(); }, "the refusal in the link's state");
  EXPECT_THAT(uplink_->link().error, HasSubstr("in use by another stream"));
  collector_.Refuse(absl::OkStatus());
  collector_.ExpectEvents(5);
}

TEST_F(UplinkTest, ASocketThatTakesNoEventsIsNamedAsThat) {
  collector_.Start(folder_ / "c.sock");
  collector_.Refuse(absl::UnimplementedError(""));
  Connect();
  Eventually([&] { return !uplink_->link().error.empty(); }, "the reason in the link's state");
  EXPECT_EQ(uplink_->link().error,
            socket() + ": this socket does not take events; ingest.sock does");
}

TEST_F(UplinkTest, AClonedMachineWhoseEpochIsInUseGoesOnUnderANewOne) {
  options_.clone_after = absl::Milliseconds(50);
  collector_.Start(folder_ / "c.sock");
  collector_.RefuseEpoch(spool_->epoch());
  const uint64_t old = spool_->epoch();
  Append(1, 5);
  Connect();
  collector_.ExpectEvents(5);
  EXPECT_NE(spool_->epoch(), old);
  EXPECT_EQ(collector_.sequences(), UpTo(5));
}

TEST_F(UplinkTest, TheCollectorHearsTheAgentsStateAtOnceAndAtEachHeartbeat) {
  options_.heartbeat = absl::Hours(1);
  collector_.Start(folder_ / "c.sock");
  Connect();
  collector_.ExpectHellos(1);
  enforce_ = true;
  uplink_->NotifyState();
  collector_.ExpectHeartbeats(1);
  EXPECT_EQ(collector_.heartbeats().back().state().mode(), "enforce");
}

TEST_F(UplinkTest, HeartbeatsComeWithoutEvents) {
  options_.heartbeat = absl::Milliseconds(5);
  collector_.Start(folder_ / "c.sock");
  Connect();
  collector_.ExpectHeartbeats(3);
}

TEST_F(UplinkTest, TheLastThatIsHeardIsTheStateAsItIsThen) {
  options_.heartbeat = absl::Hours(1);
  collector_.Start(folder_ / "c.sock");
  Connect();
  Append(1, 5);
  ExpectNothingPending();
  EXPECT_TRUE(collector_.heartbeats().empty() ||
              !collector_.heartbeats().back().state().stopping());
  stopping_ = true;
  uplink_.reset();
  collector_.ExpectHeartbeats(1);
  EXPECT_TRUE(collector_.heartbeats().back().state().stopping());
  EXPECT_EQ(collector_.hellos().size(), 1u);
}

TEST_F(UplinkTest, ACollectorThatDoesNotReadHoldsNobodyUpAtTheEnd) {
  support::Relay relay(support::ListenOnUnix(folder_ / "relay.sock"),
                       [this] { return support::ConnectToUnix(folder_ / "c.sock"); });
  collector_.Start(folder_ / "c.sock");
  // Nothing else ends it.
  options_.patience = options_.heartbeat = options_.keepalive = absl::Hours(1);
  Connect({"unix:" + (folder_ / "relay.sock")});
  collector_.ExpectHellos(1);
  Eventually([&] { return uplink_->link().connected; }, "the collector's welcome");
  relay.Freeze(true);
  uplink_.reset();
}

TEST_F(UplinkTest, AConnectionThatIsCutWhileThereIsNothingToSendIsGivenUp) {
  options_.keepalive = absl::Milliseconds(50);
  options_.keepalive_timeout = absl::Milliseconds(100);
  support::Relay relay(support::ListenOnUnix(folder_ / "relay.sock"),
                       [this] { return support::ConnectToUnix(folder_ / "c.sock"); });
  collector_.Start(folder_ / "c.sock");
  Connect({"unix:" + (folder_ / "relay.sock"), socket()});
  Append(1, 5);
  ExpectNothingPending();
  relay.Freeze(true);
  Eventually([&] { return uplink_->link().address == socket(); }, "the next address");
  Append(6, 8);
  collector_.ExpectEvents(8);
  EXPECT_EQ(collector_.sequences(), UpTo(8));
}

// What is being written then waits for it, cancelled or not.
TEST_F(UplinkTest, ACollectorThatStopsReadingIsGivenUpThoughItsSocketIsFull) {
  constexpr size_t kTextBytes = 16 << 10;
  options_.patience = absl::Seconds(1);
  support::Relay relay(support::ListenOnUnix(folder_ / "relay.sock"),
                       [this] { return support::ConnectToUnix(folder_ / "c.sock"); });
  collector_.Start(folder_ / "c.sock");
  Connect({"unix:" + (folder_ / "relay.sock"), socket()});
  // Flow control allows more, the more was taken: then it is more than a socket holds.
  Append(1, 1000, kTextBytes);
  Eventually([&] { return relay.passed() > 500 * kTextBytes; }, "half of it");
  relay.Freeze(true);
  Eventually([&] { return uplink_->link().address == socket(); }, "the next address");
  collector_.ExpectEvents(1000);
}

TEST_F(UplinkTest, BatchesArePackedForACollectorThatTakesThemSo) {
  options_.unix_is_remote = true;
  collector_.SetUnpacks(true);
  collector_.Start(folder_ / "c.sock");
  Append(1, 5000);
  Connect();
  collector_.ExpectEvents(5000);
  ExpectNothingPending();
  EXPECT_EQ(collector_.sequences(), UpTo(5000));
  EXPECT_GE(collector_.packed_batches(), 5u);
}

TEST_F(UplinkTest, ACollectorThatDoesNotSaySoGetsNoPackedBatches) {
  options_.unix_is_remote = true;
  collector_.Start(folder_ / "c.sock");
  Append(1, 5);
  Connect();
  collector_.ExpectEvents(5);
  EXPECT_EQ(collector_.packed_batches(), 0u);
}

TEST_F(UplinkTest, OnThisHostNothingIsPacked) {
  collector_.SetUnpacks(true);
  collector_.Start(folder_ / "c.sock");
  Append(1, 5);
  Connect();
  collector_.ExpectEvents(5);
  EXPECT_EQ(collector_.packed_batches(), 0u);
}

TEST_F(UplinkTest, HelloNamesTheLastAcknowledgement) {
  collector_.Start(folder_ / "c.sock");
  Connect();
  Append(1, 5);
  ExpectNothingPending();
  const uint64_t first = spool_->epoch();
  uplink_.reset();
  OpenSpool();
  Connect();
  collector_.ExpectHellos(2);
  EXPECT_FALSE(collector_.hellos()[0].has_last_acknowledged());
  EXPECT_EQ(collector_.hellos()[1].last_acknowledged().epoch(), first);
  EXPECT_EQ(collector_.hellos()[1].last_acknowledged().position(), 5u);
}

TEST_F(UplinkTest, ABatchIsBoundedByBytesToo) {
  options_.batch_bytes = 100;
  options_.batch_age = absl::ZeroDuration();
  collector_.Start(folder_ / "c.sock");
  Append(1, 200);
  Connect();
  collector_.ExpectEvents(200);
  // Each says what is still to come: there were many.
  EXPECT_GT(collector_.oldest_pending().size(), 20u);
}

TEST_F(UplinkTest, EveryMessageSaysFromWhenOnEventsAreStillToCome) {
  options_.batch_events = 2;
  options_.batch_age = absl::ZeroDuration();
  collector_.Start(folder_ / "c.sock");
  Append(1, 5);
  Connect();
  collector_.ExpectEvents(5);
  // The rest behind a batch, at least as old as said; and nothing in the end.
  EXPECT_THAT(collector_.oldest_pending(), ElementsAre(1, 1, 1, 0));
  ExpectNothingPending();
  Append(6, 6);
  collector_.ExpectEvents(6);
  EXPECT_EQ(collector_.oldest_pending().back(), 0u);
}

TEST_F(UplinkTest, WhatArrivedBeforeTheConnectionBrokeIsSaidNotToBePending) {
  collector_.Start(folder_ / "c.sock");
  Append(1, 5);
  collector_.SetMark(spool_->epoch(), 5);
  Connect();
  collector_.ExpectHeartbeats(1);
  EXPECT_THAT(collector_.oldest_pending(), ElementsAre(1, 0));
}

TEST_F(UplinkTest, WhatIsNotInTheSpoolYetIsPendingToo) {
  behind_since_ = 3;
  collector_.Start(folder_ / "c.sock");
  Append(7, 7);
  Connect();
  collector_.ExpectEvents(1);
  EXPECT_THAT(collector_.oldest_pending(), ElementsAre(3, 3));
  behind_since_ = 0;
  uplink_->NotifyState();
  collector_.ExpectHeartbeats(1);
  EXPECT_EQ(collector_.oldest_pending().back(), 0u);
}

TEST_F(UplinkTest, ASpoolBegunAnewIsDeliveredToo) {
  collector_.Start(folder_ / "c.sock");
  Connect();
  Append(1, 5);
  ExpectNothingPending();
  ASSERT_TRUE(spool_->Recover().ok());
  Append(6, 8);
  collector_.ExpectEvents(8);
  EXPECT_EQ(collector_.sequences(), UpTo(8));
}

TEST_F(UplinkTest, EventsOfManyStartsArriveInTheirOrder) {
  Append(1, 3);
  OpenSpool();
  Append(4, 6);
  OpenSpool();
  Append(7, 9);
  collector_.Start(folder_ / "c.sock");
  Connect();
  collector_.ExpectEvents(9);
  EXPECT_EQ(collector_.sequences(), UpTo(9));
}

TEST_F(UplinkTest, AddressesItCannotSpeakToAreRefused) {
  for (const char* address : {"collector", "collector:x", "unix:relative", ""}) {
    Options options;
    options.addresses = {address};
    EXPECT_EQ(Uplink::Create(options, spool_.get()).status().code(),
              absl::StatusCode::kInvalidArgument)
        << address;
  }
  EXPECT_FALSE(Uplink::Create({}, spool_.get()).ok());
}

TEST_F(UplinkTest, WithoutACertificateTheLinkSaysHowToGetOne) {
  options_.tls.ca = folder_ / "none.pem";
  Connect({"127.0.0.1:1"});
  Eventually([&] { return !uplink_->link().error.empty(); }, "the reason in the link's state");
  EXPECT_THAT(uplink_->link().error, HasSubstr("none.pem"));
  EXPECT_THAT(uplink_->link().error, HasSubstr("posternd --enroll"));
}

}  // namespace
}  // namespace postern::uplink
