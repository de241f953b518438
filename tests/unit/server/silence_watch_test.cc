// SPDX-License-Identifier: Apache-2.0
#include "server/ingest/silence_watch.h"

#include <atomic>

#include "tests/unit/server/store_fixture.h"

namespace postern::server {
namespace {

using ::testing::SizeIs;

class SilenceWatchTest : public StoreContractTest {
 protected:
  // Looks when it is told to alone.
  void Watch() {
    watch_ = std::make_unique<SilenceWatch>(
        store_.get(), SilenceWatch::Options{.look_every = absl::Hours(24), .now = [this] {
                                              return absl::UnixEpoch() + passed_.load();
                                            }});
  }
  void Pass(absl::Duration time) {
    passed_ = passed_.load() + time;
    now_ = now_.load() + absl::ToInt64Nanoseconds(time);
    watch_->Look();
    Settle();
  }
  void Hear(const std::string& host, bool stopping = false) {
    v1::AgentState state;
    state.set_stopping(stopping);
    store_->Heard(host, state);
    Settle();
  }
  std::vector<v1::Event> Silences() {
    EventFilter filter;
    filter.kinds = {v1::Event::AGENT_SILENT};
    return Found(filter);
  }
  void TearDown() override { watch_.reset(); }

  std::atomic<absl::Duration> passed_ = absl::ZeroDuration();
  std::unique_ptr<SilenceWatch> watch_;
};

TEST_P(SilenceWatchTest, AnAgentThatStopsWithoutAGoodbyeIsAnEventOnce) {
  Welcome("web1", 7);
  Watch();
  watch_->Look();
  Pass(absl::Seconds(100));
  EXPECT_THAT(Silences(), SizeIs(0));
  Pass(absl::Seconds(60));
  ASSERT_THAT(Silences(), SizeIs(1));
  EXPECT_EQ(Silences()[0].host(), "web1");
  EXPECT_EQ(Silences()[0].time_ns(), static_cast<uint64_t>(kStart)) << "when it was last heard of";
  Pass(absl::Hours(1));
  EXPECT_THAT(Silences(), SizeIs(1));
  EXPECT_TRUE(store_->Hosts()->at(0).silent());
}

TEST_P(SilenceWatchTest, AnAgentThatSaysGoodbyeIsNone) {
  Welcome("web1", 7);
  Watch();
  Hear("web1", /*stopping=*/true);
  watch_->Look();
  Pass(absl::Hours(1));
  EXPECT_THAT(Silences(), SizeIs(0));
  EXPECT_TRUE(store_->Hosts()->at(0).stopped());
  EXPECT_FALSE(store_->Hosts()->at(0).silent());
  // Until it comes again.
  Welcome("web1", 8);
  watch_->Look();
  Pass(absl::Seconds(160));
  EXPECT_THAT(Silences(), SizeIs(1));
}

TEST_P(SilenceWatchTest, AnAgentThatIsHeardOfIsNone) {
  Welcome("web1", 7);
  Watch();
  watch_->Look();
  for (int minute = 0; minute < 10; ++minute) {
    Pass(absl::Minutes(1));
    Hear("web1");
  }
  EXPECT_THAT(Silences(), SizeIs(0));
}

TEST_P(SilenceWatchTest, AnotherSilenceIsAnotherEvent) {
  Welcome("web1", 7);
  Watch();
  watch_->Look();
  Pass(absl::Seconds(160));
  Welcome("web1", 7);
  Pass(absl::Seconds(1));
  Pass(absl::Seconds(160));
  EXPECT_THAT(Silences(), SizeIs(2));
}

TEST_P(SilenceWatchTest, ACollectorThatWasAwayMakesNobodySilentAndSaysNothingTwice) {
  Welcome("web1", 7);
  Watch();
  watch_->Look();
  Pass(absl::Seconds(160));
  EXPECT_THAT(Silences(), SizeIs(1));
  watch_.reset();
  Reopen();
  Welcome("web2", 9);
  now_ = now_.load() + kHour;
  Watch();
  watch_->Look();
  Pass(absl::Seconds(100));
  EXPECT_THAT(Silences(), SizeIs(1));
  Pass(absl::Seconds(60));
  ASSERT_THAT(Silences(), SizeIs(2));
  EXPECT_EQ(Silences()[0].host(), "web2");
}

TEST_P(SilenceWatchTest, AClockThatIsSetForwardMakesNobodySilent) {
  Welcome("web1", 7);
  Watch();
  watch_->Look();
  now_ = now_.load() + 10 * kHour;
  Pass(absl::Seconds(15));
  EXPECT_THAT(Silences(), SizeIs(0));
}

INSTANTIATE_STORE_CONTRACT(SilenceWatchTest);

}  // namespace
}  // namespace postern::server
