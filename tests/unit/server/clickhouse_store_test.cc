// SPDX-License-Identifier: Apache-2.0
// What only a store has that others share: several collectors, a server that goes and
// comes, days that expire. Attacks on "exactly once" come first.
#include "server/store/clickhouse/clickhouse_store.h"

#include <csignal>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/server/clickhouse_under_test.h"
#include "tests/unit/server/store_fixture.h"

namespace postern::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr int64_t kDay = 24 * kHour;

class ClickHouseStoreTest : public StoreTest {
 protected:
  ClickHouseStoreTest() : StoreTest(std::make_unique<ClickHouseUnderTest>()) {}

  ClickHouseUnderTest& clickhouse() { return static_cast<ClickHouseUnderTest&>(*kind_); }
  std::string Sql(const std::string& statement) { return clickhouse().Sql(statement); }
  int64_t Rows() { return std::stoll("0" + Sql("SELECT count() FROM events WHERE kind = 1")); }

  // Another collector beside store_, on its own machine.
  std::unique_ptr<ClickHouseStore> Another(const std::string& name = "another") {
    absl::StatusOr<std::unique_ptr<ClickHouseStore>> store = clickhouse().OpenAs(
        name, [this] { return now_.load(); }, absl::InfiniteDuration());
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  static v1::Hello HelloOf(const std::string& host, uint64_t epoch) {
    v1::Hello hello;
    hello.set_host(host);
    hello.set_agent("agent-of-" + host);
    hello.set_epoch(epoch);
    return hello;
  }
  static absl::StatusOr<uint64_t> Greet(EventStore& store, const std::string& host,
                                        uint64_t epoch) {
    std::promise<absl::StatusOr<std::vector<v1::EpochMark>>> answer;
    store.Welcome(HelloOf(host, epoch), [&](absl::StatusOr<std::vector<v1::EpochMark>> marks) {
      answer.set_value(std::move(marks));
    });
    absl::StatusOr<std::vector<v1::EpochMark>> marks = answer.get_future().get();
    if (!marks.ok()) return marks.status();
    return marks->at(0).position();
  }
  static std::future<absl::StatusOr<uint64_t>> Send(EventStore& store, const std::string& host,
                                                    uint64_t epoch, uint64_t first_position,
                                                    const std::vector<v1::Event>& events) {
    EventBatch batch;
    batch.host = host;
    batch.epoch = epoch;
    batch.first_position = first_position;
    for (const v1::Event& event : events) *batch.events.Add() = event;
    auto answer = std::make_shared<std::promise<absl::StatusOr<uint64_t>>>();
    store.Append(std::move(batch),
                 [answer](absl::StatusOr<uint64_t> mark) { answer->set_value(std::move(mark)); });
    return answer->get_future();
  }
  // As if it were not heard of for long: what a collector that is killed becomes.
  void Bury(const std::string& collector) {
    Sql(
        absl::StrCat("INSERT INTO collectors SELECT collector, name, 18446744073709551615, now(), "
                     "1 FROM collectors WHERE name = '",
                     collector, "' GROUP BY collector, name"));
  }
  std::string Count(const EventFilter& filter = {}) {
    const absl::StatusOr<GroupPage> page =
        store_->Group(filter, {GroupField::kHost}, 0, [] { return false; });
    EXPECT_TRUE(page.ok()) << page.status();
    return page.ok() && !page->groups.empty() ? std::to_string(page->groups[0].count()) : "";
  }
};

TEST_F(ClickHouseStoreTest, RowsThatWereStoredTwiceAreOneEvent) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 1000)), 1000u);
  v1::Event gap = GapOf(5, kStart, kStart);
  EXPECT_EQ(*Write("web1", 7, 1001, {gap}), 1001u);
  // Within a day, and in the next one, where the server never brings them together.
  Sql("INSERT INTO events SELECT * FROM events");
  Sql("INSERT INTO events SELECT toDate('2026-01-02'), span, host, time, length, epoch, position, "
      "kind, verdict, attempts, uid, port, destination, user, exe, script, rule, unit, container, "
      "comm, traits, rest FROM events");
  ASSERT_GE(Rows(), 2000);
  EXPECT_THAT(Found(), SizeIs(1000));
  EXPECT_THAT(Found({}, 700), SizeIs(700));
  EXPECT_TRUE(truncated_);
  EXPECT_EQ(Count(), "1000");
  EXPECT_EQ(Complete().missing(), 5u);
  EXPECT_EQ(Complete().gaps_size(), 1);
  Reopen();
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 1001u);
}

// A collector whose insert is on its way when it is given up: the agent goes to another
// one, which knows nothing of the batch yet, and both arrive.
TEST_F(ClickHouseStoreTest, TheSameBatchByTwoCollectorsIsStoredOnce) {
  auto late = Another("late");
  EXPECT_EQ(*Greet(*late, "web1", 7), 0u);
  // Its server answers nobody, until both collectors have sent.
  TheClickHouse().Signal(SIGSTOP);
  std::future<absl::StatusOr<uint64_t>> first = Send(*late, "web1", 7, 1, Numbered(1, 3));
  std::future<absl::StatusOr<uint64_t>> second = Send(*store_, "web1", 7, 1, Numbered(1, 3));
  TheClickHouse().Signal(SIGCONT);
  const absl::StatusOr<uint64_t> one = first.get();
  const absl::StatusOr<uint64_t> other = second.get();
  EXPECT_EQ(one.value_or(0), 3u);
  // The epoch is the first one's, as long as that lives.
  EXPECT_TRUE(absl::IsAlreadyExists(other.status())) << other.status();
  Bury("late");
  EXPECT_EQ(*Greet(*store_, "web1", 7), 3u);
  EXPECT_EQ(*Send(*store_, "web1", 7, 1, Numbered(1, 4)).get(), 4u);
  // What was on its way for longer than that.
  EXPECT_EQ(late->Hosts()->size(), 1u);
  std::future<absl::StatusOr<uint64_t>> stale = Send(*late, "web1", 7, 4, Numbered(4, 5));
  EXPECT_EQ(stale.get().value_or(5), 5u) << "it does not know yet";
  EXPECT_THAT(FoundNames(), ElementsAre("5", "4", "3", "2", "1"));
  EXPECT_EQ(Count(), "5");
}

TEST_F(ClickHouseStoreTest, AnAgentThatGoesToAnotherCollectorGoesOnWhereItWas) {
  EXPECT_EQ(*Greet(*store_, "web1", 7), 0u);
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 2)), 2u);
  auto another = Another();
  // Its old stream is not yet seen as gone.
  EXPECT_TRUE(absl::IsAlreadyExists(Greet(*another, "web1", 7).status()));
  store_->Left("web1");
  Settle();
  EXPECT_EQ(*Greet(*another, "web1", 7), 2u);
  EXPECT_EQ(*Send(*another, "web1", 7, 2, Numbered(2, 3)).get(), 3u);
  another->Left("web1");
  EXPECT_EQ(*Send(*another, "other", 9, 1, {}).get(), 0u);
  EXPECT_EQ(*Greet(*store_, "web1", 7), 3u);
  EXPECT_EQ(*Write("web1", 7, 4, Numbered(4, 4)), 4u);
  EXPECT_THAT(FoundNames(), ElementsAre("4", "3", "2", "1"));
}

TEST_F(ClickHouseStoreTest, WhatACollectorThatDiedHadStoredIsNotTakenAgain) {
  EXPECT_EQ(*Greet(*store_, "web1", 7), 0u);
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 2)), 2u);
  Bury("collector");
  auto another = Another();
  EXPECT_EQ(*Greet(*another, "web1", 7), 2u);
  EXPECT_EQ(*Send(*another, "web1", 7, 1, Numbered(1, 3)).get(), 3u);
  EXPECT_THAT(FoundNames(), ElementsAre("3", "2", "1"));
  EXPECT_TRUE(another->Hosts()->at(0).connected());
}

TEST_F(ClickHouseStoreTest, ACollectorThatLostItsLeaseStoresNothingOfItsOldStreams) {
  EXPECT_EQ(*Greet(*store_, "web1", 7), 0u);
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 2)), 2u);
  // Another begins by its name.
  auto namesake = Another("collector");
  EXPECT_EQ(*Greet(*namesake, "web1", 7), 2u);
  EXPECT_TRUE(Eventually([&] { return !Write("web1", 7, 3, Numbered(3, 3)).ok(); }))
      << "its own lease tells it within seconds";
}

TEST_F(ClickHouseStoreTest, ACloneIsRefusedWhileTheOtherLivesAndTakenWhenItHasLeft) {
  auto another = Another();
  EXPECT_EQ(*Greet(*store_, "web1", 7), 0u);
  EXPECT_EQ(*Greet(*another, "web2", 8), 0u);
  v1::Hello clone = HelloOf("web1-clone", 9);
  clone.add_pending_epochs(7);
  std::promise<absl::Status> refused;
  another->Welcome(clone, [&](const absl::StatusOr<std::vector<v1::EpochMark>>& marks) {
    refused.set_value(marks.status());
  });
  const absl::Status status = refused.get_future().get();
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("cloned"));
  // It did not harm the one that lives.
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 1)), 1u);
  store_->Left("web1");
  Settle();
  another->Left("web1-clone");
  std::promise<absl::StatusOr<std::vector<v1::EpochMark>>> taken;
  another->Welcome(clone, [&](absl::StatusOr<std::vector<v1::EpochMark>> marks) {
    taken.set_value(std::move(marks));
  });
  const absl::StatusOr<std::vector<v1::EpochMark>> marks = taken.get_future().get();
  ASSERT_TRUE(marks.ok()) << marks.status();
  EXPECT_EQ(marks->at(1).position(), 1u);
}

// The end of the old stream and the hello of the new one wait for the same moment.
TEST_F(ClickHouseStoreTest, AnAgentThatIsBackAtOnceKeepsItsMarkAndItsClaim) {
  auto another = Another();
  EXPECT_EQ(*Greet(*store_, "web1", 7), 0u);
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 2)), 2u);
  TheClickHouse().Signal(SIGSTOP);
  std::future<absl::StatusOr<uint64_t>> under_way = Send(*store_, "web2", 8, 1, Numbered(1, 1));
  store_->Left("web1");
  std::promise<absl::StatusOr<std::vector<v1::EpochMark>>> answer;
  v1::Hello hello = HelloOf("web1", 9);
  hello.add_pending_epochs(7);
  store_->Welcome(hello, [&](absl::StatusOr<std::vector<v1::EpochMark>> marks) {
    answer.set_value(std::move(marks));
  });
  TheClickHouse().Signal(SIGCONT);
  EXPECT_TRUE(under_way.get().ok());
  const absl::StatusOr<std::vector<v1::EpochMark>> marks = answer.get_future().get();
  ASSERT_TRUE(marks.ok()) << marks.status();
  EXPECT_EQ(marks->at(1).position(), 2u);
  for (const uint64_t epoch : {7, 9}) {
    EXPECT_TRUE(absl::IsAlreadyExists(Greet(*another, "web1", epoch).status())) << epoch;
  }
  EXPECT_TRUE(store_->Hosts()->at(0).connected());
}

TEST_F(ClickHouseStoreTest, OfTwoThatClaimAtOnceNotBothAreTaken) {
  auto another = Another();
  for (uint64_t epoch = 100; epoch < 110; ++epoch) {
    std::promise<bool> one;
    std::promise<bool> two;
    store_->Welcome(HelloOf("web1", epoch), [&](const auto& marks) { one.set_value(marks.ok()); });
    another->Welcome(HelloOf("web1", epoch), [&](const auto& marks) { two.set_value(marks.ok()); });
    const bool first = one.get_future().get();
    const bool second = two.get_future().get();
    EXPECT_FALSE(first && second) << epoch;
    store_->Left("web1");
    another->Left("web1");
  }
}

TEST_F(ClickHouseStoreTest, EpochIsFoundUnderTheNameThatItsHostHadBefore) {
  EXPECT_EQ(*Write("old", 7, 1, Numbered(1, 2)), 2u);
  const std::vector<v1::EpochMark> marks = Welcome("new", 8, {7});
  ASSERT_THAT(marks, SizeIs(2));
  EXPECT_EQ(marks[1].position(), 2u);
}

TEST_F(ClickHouseStoreTest, TwoCollectorsThatRecordOneSilenceRecordItOnce) {
  Welcome("web1", 7);
  auto another = Another();
  v1::Event silence;
  silence.set_kind(v1::Event::AGENT_SILENT);
  silence.set_host("web1");
  silence.set_agent("agent-of-web1");
  silence.set_time_ns(kStart);
  silence.set_last_time_ns(kStart + 160 * kSecond);
  store_->Record(silence);
  silence.set_last_time_ns(kStart + 170 * kSecond);
  another->Record(silence);
  Settle();
  EXPECT_EQ(*Send(*another, "zz2", 9, 1, {}).get(), 0u);
  EventFilter filter;
  filter.kinds = {v1::Event::AGENT_SILENT};
  EXPECT_THAT(Found(filter), SizeIs(1));
  EXPECT_EQ(Count(filter), "1");
  // Another silence is another event.
  silence.set_time_ns(kStart + kHour);
  another->Record(silence);
  EXPECT_EQ(*Send(*another, "zz2", 9, 1, {}).get(), 0u);
  EXPECT_THAT(Found(filter), SizeIs(2));
}

TEST_F(ClickHouseStoreTest, NobodyIsConnectedToACollectorThatDied) {
  Welcome("web1", 7);
  auto another = Another();
  ASSERT_TRUE(another->Hosts()->at(0).connected());
  Bury("collector");
  EXPECT_FALSE(another->Hosts()->at(0).connected());
  now_ = kStart + kMinute;
  EXPECT_THAT(another->Complete({})->silent_hosts(), ElementsAre("web1"));
}

TEST_F(ClickHouseStoreTest, MarksOutliveTheDaysOfTheirEvents) {
  Close();
  Open(absl::Hours(24) * 10);
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 3)), 3u);
  now_ = kStart + 5 * kDay;
  EXPECT_EQ(*Write("web2", 8, 1, Numbered(1, 1)), 1u);
  // Kept apart, but not dropped.
  Close();
  Open(absl::Hours(24) * 10);
  EXPECT_TRUE(Eventually([&] { return Sql("SELECT count() FROM folded") != "0\n"; }));
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 3u);
  EXPECT_THAT(Found(), SizeIs(4));
  // Dropped.
  now_ = kStart + 12 * kDay;
  Close();
  Open(absl::Hours(24) * 10);
  EXPECT_TRUE(Eventually([&] { return Found().size() == 1; }));
  EXPECT_EQ(Welcome("web1", 7)[0].position(), 3u);
  EXPECT_EQ(*Write("web1", 7, 3, Numbered(3, 4)), 4u);
  EXPECT_THAT(FoundNames(), ElementsAre("4", "1"));
  // And it is said.
  EventFilter filter;
  filter.window.since = kStart;
  const v1::Completeness answer = Complete(filter);
  EXPECT_FALSE(answer.complete());
  std::set<v1::Gap::Reason> reasons;
  for (const v1::HostGap& gap : answer.gaps()) reasons.insert(gap.gap().reason());
  EXPECT_TRUE(reasons.contains(v1::Gap::EXPIRED));
}

TEST_F(ClickHouseStoreTest, HostsGoWithTheirEvents) {
  Close();
  Open(absl::Hours(24) * 10);
  Welcome("web1", 7);
  store_->Left("web1");
  Settle();
  now_ = kStart + 9 * kDay;
  Welcome("web2", 8);
  now_ = kStart + 12 * kDay;
  Close();
  Open(absl::Hours(24) * 10);
  EXPECT_TRUE(Eventually([&] {
    const auto hosts = store_->Hosts();
    return hosts.ok() && hosts->size() == 1 && hosts->at(0).host() == "web2";
  }));
  // It is not known, until it comes again.
  EventFilter filter;
  filter.hosts = {"web1"};
  EXPECT_THAT(Complete(filter).unknown_hosts(), ElementsAre("web1"));
  Welcome("web1", 7);
  EXPECT_EQ(store_->Hosts()->at(0).first_seen_ns(), static_cast<uint64_t>(now_.load()));
}

TEST_F(ClickHouseStoreTest, LateClockWritesNoDayWhoseMarksAreKeptApart) {
  now_ = kStart + 5 * kDay;
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 1)), 1u);
  now_ = kStart + 10 * kDay;
  Reopen();
  EXPECT_TRUE(Eventually([&] { return Sql("SELECT count() FROM folded") != "0\n"; }));
  now_ = kStart;
  Reopen();
  Settle();
  EXPECT_TRUE(Eventually([&] {
    Reopen();
    return Write("web2", 9, 1, Numbered(1, 2)).value_or(0) == 2 &&
           Welcome("web2", 9).at(0).position() == 2;
  }));
  Reopen();
  EXPECT_EQ(Welcome("web2", 9)[0].position(), 2u);
}

TEST_F(ClickHouseStoreTest, DatabaseOfANewerVersionIsRefused) {
  Close();
  Sql("INSERT INTO postern SELECT toUInt32(99)");
  const auto refused = clickhouse().OpenAs(
      "x", [] { return kStart; }, absl::InfiniteDuration());
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("upgrade this one"));
}

TEST_F(ClickHouseStoreTest, SomebodyElsesDatabaseIsRefusedAndLeft) {
  Close();
  for (const char* table :
       {"postern", "events", "hosts", "collectors", "claims", "marks", "folded", "expiry"}) {
    Sql(absl::StrCat("DROP TABLE ", table));
  }
  Sql("CREATE TABLE events (a Int8) ENGINE = Memory");
  const auto refused = clickhouse().OpenAs(
      "x", [] { return kStart; }, absl::InfiniteDuration());
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_EQ(Sql("SHOW TABLES"), "events\n");
  Sql("DROP TABLE events");
}

TEST_F(ClickHouseStoreTest, TablesThatAnAdministratorMadeAreTakenAsTheyAre) {
  EXPECT_EQ(*Write("web1", 7, 1, Numbered(1, 2)), 2u);
  Close();
  // As before the collector's first start: tables, and no version.
  Sql("DROP TABLE postern");
  Sql("CREATE TABLE postern (version UInt32) ENGINE = ReplacingMergeTree ORDER BY version");
  Open();
  EXPECT_THAT(FoundNames(), ElementsAre("2", "1"));
  EXPECT_EQ(Sql("SELECT max(version) FROM postern"), "1\n");
}

TEST_F(ClickHouseStoreTest, WrongPasswordIsRefusedAndNotRepeated) {
  ClickHouseStoreOptions options;
  options.address = clickhouse::ParseServerAddress(clickhouse().Url()).value();
  options.address.password = "secret";
  options.now = [] { return kStart; };
  const auto refused = ClickHouseStore::Open(std::move(options));
  EXPECT_TRUE(absl::IsPermissionDenied(refused.status())) << refused.status();
  const std::string message(refused.status().message());
  EXPECT_THAT(message, HasSubstr("refuses: Wrong password for user postern (code 193); check"));
  EXPECT_THAT(message, Not(HasSubstr("secret")));
  EXPECT_THAT(message, Not(HasSubstr("Exception")));
  EXPECT_THAT(message, Not(HasSubstr("\n")));
}

// A server of the test's own, which it may end.
class ClickHouseOutageTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<support::ClickHouseServer>> server =
        support::ClickHouseServer::Start(folder_.path());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void Open() {
    ClickHouseStoreOptions options;
    options.address = clickhouse::ParseServerAddress(server_->Url("postern")).value();
    options.name = "collector";
    options.now = [] { return kStart; };
    absl::StatusOr<std::unique_ptr<ClickHouseStore>> store =
        ClickHouseStore::Open(std::move(options));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  absl::StatusOr<uint64_t> Write(uint64_t first_position, const std::vector<v1::Event>& events) {
    EventBatch batch;
    batch.host = "web1";
    batch.epoch = 7;
    batch.first_position = first_position;
    for (const v1::Event& event : events) *batch.events.Add() = event;
    std::promise<absl::StatusOr<uint64_t>> answer;
    store_->Append(std::move(batch),
                   [&](absl::StatusOr<uint64_t> mark) { answer.set_value(std::move(mark)); });
    return answer.get_future().get();
  }
  absl::StatusOr<uint64_t> Greet() {
    v1::Hello hello;
    hello.set_host("web1");
    hello.set_agent("agent-of-web1");
    hello.set_epoch(7);
    std::promise<absl::StatusOr<uint64_t>> answer;
    store_->Welcome(hello, [&](const absl::StatusOr<std::vector<v1::EpochMark>>& marks) {
      answer.set_value(marks.ok() ? absl::StatusOr<uint64_t>(marks->at(0).position())
                                  : marks.status());
    });
    return answer.get_future().get();
  }
  absl::StatusOr<size_t> Count() {
    size_t events = 0;
    const absl::StatusOr<bool> found = store_->Find(
        {}, 0, [] { return false; },
        [&](const v1::Event&) {
          ++events;
          return true;
        });
    if (!found.ok()) return found.status();
    return events;
  }

  TemporaryFolder folder_;
  std::unique_ptr<support::ClickHouseServer> server_;
  std::unique_ptr<ClickHouseStore> store_;
};

TEST_F(ClickHouseOutageTest, StoreOpensWithoutItsServerAndGoesOnWhenItComes) {
  server_->Stop();
  Open();
  EXPECT_TRUE(absl::IsUnavailable(Write(1, Numbered(1, 1)).status()));
  EXPECT_TRUE(absl::IsUnavailable(Count().status()));
  EXPECT_THAT(std::string(Count().status().message()),
              AllOf(StartsWith("cannot reach ClickHouse at clickhouse://127.0.0.1:"),
                    HasSubstr("; is the server running")));
  ASSERT_TRUE(server_->StartAgain().ok());
  EXPECT_EQ(Write(1, Numbered(1, 1)).value_or(0), 1u);
  EXPECT_EQ(Count().value_or(0), 1u);
}

TEST_F(ClickHouseOutageTest, ServerThatIsKilledAgainAndAgainLosesNothingThatWasAcknowledged) {
  Open();
  std::atomic<uint64_t> acknowledged{0};
  std::atomic<int> failed{0};
  std::atomic<bool> done{false};
  std::thread agent([&] {
    while (!done) {
      const uint64_t from = acknowledged;
      const int next = static_cast<int>(from) + 1;
      const absl::StatusOr<uint64_t> mark = Write(from + 1, Numbered(next, next + 9));
      if (mark.ok()) {
        EXPECT_GE(*mark, from);
        acknowledged = *mark;
        continue;
      }
      ++failed;
      // As agents do, it asks how far it was.
      absl::StatusOr<uint64_t> known = mark;
      while (!done && !known.ok()) known = Greet();
      if (known.ok()) acknowledged = *known;
    }
  });
  const auto goes_on = [&] {
    const uint64_t before = acknowledged;
    return support::Eventually([&] { return acknowledged >= before + 50; });
  };
  for (int round = 0; round < 4; ++round) {
    EXPECT_TRUE(goes_on());
    const int before = failed;
    server_->Kill();
    EXPECT_TRUE(support::Eventually([&] { return failed > before; }));
    EXPECT_TRUE(server_->StartAgain().ok());
    EXPECT_TRUE(goes_on());
  }
  done = true;
  agent.join();
  EXPECT_EQ(Count().value_or(0), acknowledged);
  const absl::StatusOr<GroupPage> page =
      store_->Group({}, {GroupField::kHost}, 0, [] { return false; });
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->groups.at(0).count(), acknowledged);
}

TEST_F(ClickHouseOutageTest, QuestionToAServerThatDoesNotAnswerEndsWhenNobodyWaits) {
  Open();
  EXPECT_EQ(Write(1, Numbered(1, 1)).value_or(0), 1u);
  server_->Signal(SIGSTOP);
  int looks = 0;
  const absl::StatusOr<bool> found = store_->Find(
      {}, 0, [&] { return ++looks > 3; }, [](const v1::Event&) { return true; });
  server_->Signal(SIGCONT);
  EXPECT_TRUE(absl::IsCancelled(found.status())) << found.status();
}

}  // namespace
}  // namespace postern::server
