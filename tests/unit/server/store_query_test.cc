// SPDX-License-Identifier: Apache-2.0
// Filters, intervals, pages and groups.
#include <limits>

#include "tests/unit/server/store_fixture.h"

namespace postern::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class StoreQueryTest : public StoreContractTest {
 protected:
  std::vector<std::string> Groups(const std::vector<GroupField>& fields,
                                  const EventFilter& filter = {}, uint32_t limit = 0) {
    const absl::StatusOr<GroupPage> page =
        store_->Group(filter, fields, limit, [] { return false; });
    EXPECT_TRUE(page.ok()) << page.status();
    std::vector<std::string> lines;
    if (!page.ok()) return lines;
    truncated_ = page->truncated;
    for (const v1::Group& group : page->groups) {
      std::string line;
      for (const std::string& value : group.values()) line += value + " ";
      lines.push_back(line + std::to_string(group.count()));
    }
    return lines;
  }

  // Two events that differ in everything that is filtered.
  void WriteBotAndMail() {
    v1::Event bot = Named(Connect(kStart + kSecond), "bot");
    bot.set_user("www-data");
    bot.set_uid(33);
    bot.set_exe("/usr/bin/perl");
    bot.set_script("/var/www/a/shell.php");
    bot.set_destination("198.51.100.7");
    bot.set_port(25);
    bot.set_verdict(v1::Event::DENIED);
    bot.set_rule("default");
    bot.set_unit("apache2.service");
    v1::Event mail = Named(Connect(kStart + 2 * kSecond), "mail");
    mail.set_user("root");
    mail.set_uid(0);
    mail.set_exe("/usr/lib/postfix/sbin/smtp");
    mail.set_destination("2001:db8::25");
    mail.set_port(587);
    mail.set_rule("postfix");
    Write("web1", {bot});
    Write("web2", {mail});
  }
};

TEST_P(StoreQueryTest, EachFilterFindsItsOwn) {
  WriteBotAndMail();
  const auto only = [&](const auto& set) {
    EventFilter filter;
    set(filter);
    return FoundNames(filter);
  };
  EXPECT_THAT(FoundNames(), ElementsAre("mail", "bot"));
  EXPECT_THAT(only([](EventFilter& f) { f.hosts = {"web1"}; }), ElementsAre("bot"));
  EXPECT_THAT(only([](EventFilter& f) { f.hosts = {"web1", "web2"}; }), ElementsAre("mail", "bot"));
  EXPECT_THAT(only([](EventFilter& f) { f.hosts = {"none"}; }), IsEmpty());
  EXPECT_THAT(only([](EventFilter& f) { f.users = {"www-data"}; }), ElementsAre("bot"));
  EXPECT_THAT(only([](EventFilter& f) { f.uids = {0}; }), ElementsAre("mail"));
  EXPECT_THAT(only([](EventFilter& f) {
                f.exes = {{"/usr/bin/perl", false}};
              }),
              ElementsAre("bot"));
  EXPECT_THAT(only([](EventFilter& f) { f.exes = {{"/usr/bin/per", false}}; }), IsEmpty());
  EXPECT_THAT(only([](EventFilter& f) { f.scripts = {{"/var/www/", true}}; }), ElementsAre("bot"));
  EXPECT_THAT(only([](EventFilter& f) { f.destinations = ParseRanges("198.51.100.0/24"); }),
              ElementsAre("bot"));
  EXPECT_THAT(only([](EventFilter& f) { f.destinations = ParseRanges("2001:db8::/32"); }),
              ElementsAre("mail"));
  EXPECT_THAT(only([](EventFilter& f) { f.destinations = ParseRanges("::/0"); }),
              ElementsAre("mail"));
  EXPECT_THAT(only([](EventFilter& f) { f.ports = {25, 465}; }), ElementsAre("bot"));
  EXPECT_THAT(only([](EventFilter& f) { f.verdicts = {v1::Event::DENIED}; }), ElementsAre("bot"));
  EXPECT_THAT(only([](EventFilter& f) { f.rules = {"postfix"}; }), ElementsAre("mail"));
  EXPECT_THAT(only([](EventFilter& f) {
                f.ports = {25};
                f.rules = {"postfix"};
              }),
              IsEmpty());
}

TEST_P(StoreQueryTest, PrefixMatchesBytesAndNotPatterns) {
  for (const char* exe : {"/a", "/a%", "/a%b", "/a_b", "/ab", "/b", "/a\xc3\xbf"}) {
    v1::Event event = Named(Connect(kStart), exe);
    event.set_exe(exe);
    Write("web1", {event});
  }
  Write("web1", {Named(Connect(kStart), "without")});
  const auto prefix = [&](const std::string& text) {
    EventFilter filter;
    filter.exes = {{text, true}};
    return FoundNames(filter);
  };
  EXPECT_THAT(prefix("/a%"), UnorderedElementsAre("/a%", "/a%b"));
  EXPECT_THAT(prefix("/a_"), UnorderedElementsAre("/a_b"));
  EXPECT_THAT(prefix("/a"), SizeIs(6));
  EXPECT_THAT(prefix("/a\xc3"), SizeIs(1));
  EXPECT_THAT(prefix("\xff"), IsEmpty());
  EXPECT_THAT(prefix(""), SizeIs(7));
}

TEST_P(StoreQueryTest, UserWithoutANameIsFoundByNumber) {
  v1::Event nameless = Named(Connect(kStart), "nameless");
  nameless.set_uid(54321);
  v1::Event other = Named(Connect(kStart), "other");
  other.set_uid(54321);
  other.set_user("www-data");
  v1::Event digits = Named(Connect(kStart - 1), "digits");
  digits.set_uid(7);
  digits.set_user("54321");
  Write("web1", {nameless, other, digits});
  EventFilter filter;
  filter.users = {"54321"};
  EXPECT_THAT(FoundNames(filter), ElementsAre("nameless", "digits"));
}

TEST_P(StoreQueryTest, TextThatLooksLikeSqlIsText) {
  WriteBotAndMail();
  EventFilter filter;
  filter.users = {"' OR 1=1 --"};
  filter.exes = {{"'); DROP TABLE events; --", true}};
  EXPECT_THAT(Found(filter), IsEmpty());
  EXPECT_THAT(Found(), SizeIs(2));
}

TEST_P(StoreQueryTest, WindowTakesItsBeginningAndNotItsEnd) {
  Write("web1",
        {Named(Connect(kStart - 1), "before"), Named(Connect(kStart), "first"),
         Named(Connect(kStart + kHour - 1), "last"), Named(Connect(kStart + kHour), "after")});
  EventFilter filter;
  filter.window = {kStart, kStart + kHour};
  EXPECT_THAT(FoundNames(filter), ElementsAre("last", "first"));
  filter.hosts = {"web1"};
  EXPECT_THAT(FoundNames(filter), ElementsAre("last", "first"));
}

TEST_P(StoreQueryTest, RepeatsMatchByTheirWholeInterval) {
  // As long as each class of spans, and longer than all.
  for (const int64_t minutes : {1, 16, 300, 5'000, 70'000, 700'000}) {
    Write("web1", {Named(Repeated(kStart - minutes * kMinute, kStart, 9), "reaches"),
                   Named(Repeated(kStart - minutes * kMinute, kStart - 1, 9), "ends before")});
  }
  Write("web1", {Named(Repeated(kStart + kMinute, kStart + kHour, 9), "begins after")});
  EventFilter filter;
  filter.window = {kStart, kStart + kMinute};
  const std::vector<std::string> names = FoundNames(filter);
  EXPECT_THAT(names, SizeIs(6));
  for (const std::string& name : names) EXPECT_EQ(name, "reaches");
  filter.hosts = {"web1"};
  EXPECT_THAT(FoundNames(filter), SizeIs(6));
  EXPECT_THAT(Groups({GroupField::kComm}, filter), ElementsAre("reaches 60"));
}

TEST_P(StoreQueryTest, WindowAtTheEndsOfTimeIsAnswered) {
  Write("web1", {Connect(kStart)});
  EventFilter filter;
  filter.window = {std::numeric_limits<int64_t>::min() + 1, kStart + 1};
  EXPECT_THAT(Found(filter), SizeIs(1));
  filter.window = {0, std::numeric_limits<int64_t>::max()};
  EXPECT_THAT(Found(filter), SizeIs(1));
}

TEST_P(StoreQueryTest, NewestFirstAcrossHostsSpansAndPages) {
  std::vector<v1::Event> events;
  constexpr int kEvents = 1200;
  for (int i = 0; i < kEvents; ++i) {
    const int64_t time = kStart + (i * 7919 % kEvents) * kSecond;
    events.push_back(i % 3 == 0 ? Repeated(time, time + (i % 5) * kHour, 1) : Connect(time));
  }
  Write("web1", {events.begin(), events.begin() + 500});
  Write("web2", {events.begin() + 500, events.end()});
  EventFilter both;
  both.hosts = {"web1", "web2"};
  for (const EventFilter& filter : {EventFilter(), both}) {
    const std::vector<v1::Event> found = Found(filter);
    ASSERT_THAT(found, SizeIs(kEvents));
    for (int i = 0; i < kEvents; ++i) {
      ASSERT_EQ(found[static_cast<size_t>(i)].time_ns(),
                static_cast<uint64_t>(kStart + (kEvents - 1 - i) * kSecond));
    }
  }
}

TEST_P(StoreQueryTest, EventsOfOneTimeAreAllFoundAcrossPages) {
  Write("web1", std::vector<v1::Event>(1700, Connect(kStart)));
  EXPECT_THAT(Found(), SizeIs(1700));
}

TEST_P(StoreQueryTest, LimitTakesTheNewestAndSaysThatThereAreMore) {
  std::vector<v1::Event> events;
  for (int i = 1; i <= 1000; ++i) {
    events.push_back(Named(Connect(kStart + i), std::to_string(i)));
  }
  Write("web1", events);
  EXPECT_THAT(FoundNames({}, 2), ElementsAre("1000", "999"));
  EXPECT_TRUE(truncated_);
  EXPECT_THAT(Found({}, 1000), SizeIs(1000));
  EXPECT_FALSE(truncated_);
  EXPECT_THAT(Found({}, 999), SizeIs(999));
  EXPECT_TRUE(truncated_);
  EXPECT_THAT(Found({}, 500), SizeIs(500));
  EXPECT_TRUE(truncated_);
  EXPECT_THAT(Found({}, 0), SizeIs(1000));
  EXPECT_FALSE(truncated_);
}

TEST_P(StoreQueryTest, GapsAreNotAmongTheEvents) {
  v1::Event policy;
  policy.set_kind(v1::Event::POLICY);
  policy.set_time_ns(kStart);
  policy.set_comm("policy");
  Write("web1", {GapOf(3, kStart, kStart + 1), policy, Named(Connect(kStart + 2), "connect")});
  EXPECT_THAT(FoundNames(), ElementsAre("connect", "policy"));
  EXPECT_THAT(Groups({GroupField::kComm}), ElementsAre("connect 1"));
}

TEST_P(StoreQueryTest, CanariesThatWereDeniedAreHiddenUnlessAskedFor) {
  v1::Event proof = Connect(kStart);
  proof.set_kind(v1::Event::CANARY);
  proof.set_verdict(v1::Event::DENIED);
  proof.set_comm("proof");
  v1::Event failed = Connect(kStart + 1);
  failed.set_kind(v1::Event::CANARY);
  failed.set_comm("failed");
  v1::Event mute = Connect(kStart + 2);
  mute.set_kind(v1::Event::CANARY);
  mute.set_verdict(v1::Event::VERDICT_UNSPECIFIED);
  mute.set_comm("mute");
  v1::Event denied = Connect(kStart + 3);
  denied.set_verdict(v1::Event::DENIED);
  denied.set_comm("bot");
  Write("web1", {proof, failed, mute, denied});
  EventFilter filter;
  EXPECT_THAT(FoundNames(filter), ElementsAre("bot", "mute", "failed"));
  EXPECT_THAT(Groups({GroupField::kComm}, filter), ElementsAre("bot 1"));
  filter.verdicts = {v1::Event::DENIED};
  EXPECT_THAT(FoundNames(filter), ElementsAre("bot"));
  filter.canaries = true;
  EXPECT_THAT(FoundNames(filter), ElementsAre("bot", "proof"));
  filter.verdicts.clear();
  EXPECT_THAT(FoundNames(filter), ElementsAre("bot", "mute", "failed", "proof"));
  EXPECT_THAT(Groups({GroupField::kComm}, filter), ElementsAre("bot 1", "proof 1"));
}

TEST_P(StoreQueryTest, GroupsCountAttemptsAndSpanTheirTimes) {
  v1::Event often = Repeated(kStart, kStart + kMinute, 99);
  often.set_user("www-data");
  v1::Event once = Connect(kStart + kHour);
  once.set_user("www-data");
  v1::Event other = Connect(kStart + kSecond);
  other.set_user("root");
  Write("web1", {often, once, other});
  const absl::StatusOr<GroupPage> page =
      store_->Group({}, {GroupField::kUser}, 0, [] { return false; });
  ASSERT_TRUE(page.ok());
  ASSERT_THAT(page->groups, SizeIs(2));
  EXPECT_EQ(page->groups[0].values(0), "www-data");
  EXPECT_EQ(page->groups[0].count(), 101u);
  EXPECT_EQ(page->groups[0].first_ns(), static_cast<uint64_t>(kStart));
  EXPECT_EQ(page->groups[0].last_ns(), static_cast<uint64_t>(kStart + kHour));
  EXPECT_EQ(page->groups[1].count(), 1u);
}

// However the store comes by its sums: they are those of the events that it finds.
TEST_P(StoreQueryTest, GroupsAgreeWithTheEventsOfTheSameWindow) {
  std::vector<v1::Event> events;
  for (int i = 0; i < 400; ++i) {
    const int64_t time = kStart + (i * 7919 % 400) * 3 * kMinute;
    v1::Event event = i % 7 == 0 ? Repeated(time, time + (i % 4) * 50 * kMinute, 2) : Connect(time);
    event.set_exe("/usr/bin/" + std::to_string(i % 5));
    event.set_destination((i % 2 == 0 ? "192.0.2." : "2001:db8::") + std::to_string(1 + i % 9));
    events.push_back(event);
  }
  Write("web1", {events.begin(), events.begin() + 150});
  Write("web2", {events.begin() + 150, events.begin() + 300});
  // Those of before in one state of the store, these in another.
  Reopen();
  Write("web1", {events.begin() + 300, events.end()});
  const TimeWindow windows[] = {{},
                                {kStart, kStart + 5 * kHour},
                                {kStart + 25 * kMinute, kStart + 7 * kHour + 13 * kMinute},
                                {kStart + 3 * kHour + 1, kStart + 3 * kHour + 40 * kMinute},
                                {kStart + kHour, std::numeric_limits<int64_t>::max()}};
  for (const TimeWindow& window : windows) {
    EventFilter filter;
    filter.window = window;
    for (const std::vector<std::string>& hosts :
         {std::vector<std::string>(), std::vector<std::string>{"web1"}}) {
      filter.hosts = hosts;
      std::map<std::string, uint64_t> by_exe;
      std::map<std::string, uint64_t> by_destination;
      for (const v1::Event& event : Found(filter)) {
        by_exe[event.host() + " " + event.exe()] += event.repeats() + 1;
        by_destination[event.destination()] += event.repeats() + 1;
      }
      const auto lines = [](const std::map<std::string, uint64_t>& counts) {
        std::vector<std::string> texts;
        for (const auto& [name, count] : counts)
          texts.push_back(name + " " + std::to_string(count));
        return texts;
      };
      EXPECT_THAT(Groups({GroupField::kHost, GroupField::kExe}, filter),
                  testing::UnorderedElementsAreArray(lines(by_exe)));
      EXPECT_THAT(Groups({GroupField::kDestination}, filter),
                  testing::UnorderedElementsAreArray(lines(by_destination)));
    }
  }
}

TEST_P(StoreQueryTest, GroupValuesReadAsJsonHasThem) {
  WriteBotAndMail();
  EXPECT_THAT(Groups({GroupField::kHost, GroupField::kUid, GroupField::kPort, GroupField::kVerdict,
                      GroupField::kDestination}),
              UnorderedElementsAre("web1 33 25 denied 198.51.100.7 1",
                                   "web2 0 587 allowed 2001:db8::25 1"));
  EXPECT_THAT(Groups({GroupField::kUnit}), UnorderedElementsAre("apache2.service 1", " 1"));
  EXPECT_THAT(Groups({GroupField::kExe, GroupField::kScript, GroupField::kRule, GroupField::kUser,
                      GroupField::kContainer}),
              UnorderedElementsAre("/usr/bin/perl /var/www/a/shell.php default www-data  1",
                                   "/usr/lib/postfix/sbin/smtp  postfix root  1"));
}

TEST_P(StoreQueryTest, KindsAreFoundAndGroupedApart) {
  v1::Event raw = Named(Connect(kStart + kSecond), "scan");
  raw.set_kind(v1::Event::RAW_SOCKET);
  raw.clear_port();
  raw.clear_destination();
  Write("web1", {raw, Named(Connect(kStart + 2 * kSecond), "mail")});
  EventFilter filter;
  EXPECT_THAT(FoundNames(filter), ElementsAre("mail", "scan"));
  EXPECT_THAT(Groups({GroupField::kComm}), ElementsAre("mail 1"));
  filter.kinds = {v1::Event::RAW_SOCKET};
  EXPECT_THAT(FoundNames(filter), ElementsAre("scan"));
  EXPECT_THAT(Groups({GroupField::kComm}, filter), ElementsAre("scan 1"));
}

TEST_P(StoreQueryTest, GroupsKeepToFilterAndLimit) {
  WriteBotAndMail();
  EventFilter filter;
  filter.ports = {25};
  EXPECT_THAT(Groups({GroupField::kHost}, filter), ElementsAre("web1 1"));
  filter.hosts = {"web1", "web2"};
  EXPECT_THAT(Groups({GroupField::kHost}, filter), ElementsAre("web1 1"));
  EXPECT_THAT(Groups({GroupField::kHost}, {}, 1), SizeIs(1));
  EXPECT_TRUE(truncated_);
  EXPECT_THAT(Groups({GroupField::kHost}, {}, 2), SizeIs(2));
  EXPECT_FALSE(truncated_);
}

TEST_P(StoreQueryTest, ManyHostsAreFoundAsFewAre) {
  EventFilter filter;
  for (int i = 0; i < 200; ++i) {
    const std::string host = "web" + std::to_string(i);
    Write(host, {Named(Connect(kStart + i), host)});
    if (i % 2 == 0) filter.hosts.push_back(host);
  }
  const std::vector<std::string> names = FoundNames(filter);
  ASSERT_THAT(names, SizeIs(100));
  EXPECT_EQ(names.front(), "web198");
  EXPECT_EQ(names.back(), "web0");
  EXPECT_THAT(Groups({GroupField::kHost}, filter), SizeIs(100));
}

TEST_P(StoreQueryTest, SearchEndsWhenNobodyWaits) {
  Write("web1", std::vector<v1::Event>(2000, Connect(kStart)));
  int events = 0;
  const absl::StatusOr<bool> answer = store_->Find(
      {}, 0, [&] { return events >= 10; },
      [&](const v1::Event&) {
        ++events;
        return true;
      });
  EXPECT_TRUE(absl::IsCancelled(answer.status()));
  EXPECT_EQ(events, 10);
}

INSTANTIATE_STORE_CONTRACT(StoreQueryTest);

}  // namespace
}  // namespace postern::server
