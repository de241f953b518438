// SPDX-License-Identifier: Apache-2.0
#include "cli/evidence.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/unit/cli/fake_collector.h"
#include "tests/unit/cli/fixture.h"

namespace postern::cli {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using v1::Event;

constexpr uint64_t kMinute = 60 * kSecond;

Event Attempt(uint64_t seq, uint64_t time_ns, uint64_t boot_time_ns) {
  Event event;
  event.set_kind(Event::CONNECT);
  event.set_host("web1");
  event.set_agent("5e0c");
  event.set_boot("b1");
  event.set_seq(seq);
  event.set_time_ns(time_ns);
  event.set_boot_time_ns(boot_time_ns);
  event.set_verdict(Event::DENIED);
  event.set_rule("default");
  event.set_uid(33);
  event.set_user("www-data");
  event.set_pid(4242);
  event.set_exe("/usr/bin/perl");
  event.set_script("/var/www/x.pl");
  event.set_destination("192.0.2.25");
  event.set_port(25);
  return event;
}

Event Postfix(uint64_t seq, uint64_t time_ns) {
  Event event = Attempt(seq, time_ns, time_ns - kAfternoon + kMinute);
  event.set_verdict(Event::ALLOWED);
  event.set_rule("postfix");
  event.set_uid(105);
  event.set_user("postfix");
  event.set_exe("/usr/lib/postfix/sbin/smtp");
  event.clear_script();
  event.set_identity(Event::EXEC);
  event.set_exe_trusted(true);
  event.set_started_as(0);
  event.set_destination("198.51.100.7");
  return event;
}

Evidence Examine(const std::vector<Event>& events, size_t listed = 1000) {
  Examination examination(listed);
  for (const Event& event : events) examination.Add(event);
  return std::move(examination).Finish();
}

std::vector<uint64_t> Sequences(const Evidence& evidence) {
  std::vector<uint64_t> sequences;
  for (const Event& event : evidence.events) sequences.push_back(event.seq());
  return sequences;
}

TEST(EvidenceTest, EventsStandInTheOrderOfTheKernelAlsoAcrossAClockThatWasSetBack) {
  // Between the second and the third the clock was set back by an hour.
  const Evidence evidence =
      Examine({Attempt(2, kAfternoon + 2 * kSecond, 102 * kSecond),
               Attempt(1, kAfternoon + kSecond, 101 * kSecond),
               Attempt(4, kAfternoon - 60 * kMinute + 4 * kSecond, 104 * kSecond),
               Attempt(3, kAfternoon - 60 * kMinute + 3 * kSecond, 103 * kSecond)});
  EXPECT_THAT(Sequences(evidence), ElementsAre(1, 2, 3, 4));
}

TEST(EvidenceTest, OfOneInstantTheSequenceDecides) {
  EXPECT_THAT(Sequences(Examine({Attempt(8, kAfternoon, 5), Attempt(7, kAfternoon, 5)})),
              ElementsAre(7, 8));
}

// As the agent makes them: no sequence, no process.
Event Own(Event::Kind kind, uint64_t time_ns, uint64_t boot_time_ns) {
  Event event;
  event.set_kind(kind);
  event.set_host("web1");
  event.set_boot("b1");
  event.set_time_ns(time_ns);
  event.set_boot_time_ns(boot_time_ns);
  return event;
}

std::vector<Event::Kind> Kinds(const Evidence& evidence) {
  std::vector<Event::Kind> kinds;
  for (const Event& event : evidence.events) kinds.push_back(event.kind());
  return kinds;
}

TEST(EvidenceTest, WhatTheAgentItselfRecordedStandsWhereItHappened) {
  // The clock was set back by an hour before the policy changed.
  const Evidence evidence =
      Examine({Attempt(2, kAfternoon - 59 * kMinute, 220 * kSecond),
               Own(Event::POLICY, kAfternoon - 59 * kMinute - kSecond, 219 * kSecond),
               Attempt(1, kAfternoon, 100 * kSecond)});
  EXPECT_THAT(Kinds(evidence), ElementsAre(Event::CONNECT, Event::POLICY, Event::CONNECT));
  EXPECT_THAT(Sequences(evidence), ElementsAre(1, 0, 2));
}

TEST(EvidenceTest, WhatKnowsOfNoBootStandsByItsTime) {
  Event silent;
  silent.set_kind(Event::AGENT_SILENT);
  silent.set_time_ns(kAfternoon + 30 * kSecond);
  EXPECT_THAT(Kinds(Examine({Attempt(2, kAfternoon + kMinute, 160 * kSecond), silent,
                             Attempt(1, kAfternoon, 100 * kSecond)})),
              ElementsAre(Event::CONNECT, Event::AGENT_SILENT, Event::CONNECT));
}

TEST(EvidenceTest, BootsFollowEachOtherAlsoWhereTheFirstOnesClockWasAhead) {
  // The clock of the first boot was ten minutes ahead, that of the second is right.
  Event first = Attempt(1, kAfternoon + 10 * kMinute, 3600 * kSecond);
  Event second = Attempt(2, kAfternoon + 10 * kMinute + 2 * kSecond, 3602 * kSecond);
  Event later = Attempt(1, kAfternoon + kMinute, 5 * kSecond);
  Event last = Attempt(2, kAfternoon + 20 * kMinute, 5 * kSecond + 19 * kMinute);
  later.set_boot("b2");
  last.set_boot("b2");
  const Evidence evidence = Examine({last, second, first, later});
  ASSERT_EQ(evidence.events.size(), 4u);
  EXPECT_THAT(Sequences(evidence), ElementsAre(1, 2, 1, 2));
  EXPECT_EQ(evidence.events[1].boot(), "b1");
  EXPECT_EQ(evidence.events[2].boot(), "b2");
}

TEST(EvidenceTest, AClockFromBeforeItsBootPutsNothingLast) {
  // 10 s after 1970, when the machine had run for longer than that.
  EXPECT_THAT(Sequences(Examine({Attempt(2, 10 * kSecond, 5000 * kSecond),
                                 Attempt(1, 9 * kSecond, 100 * kSecond)})),
              ElementsAre(1, 2));
}

TEST(EvidenceTest, AStepOfTheClockDoesNotSetTheClockOfItsBoot) {
  // Forward by two hours: its own time is the one before.
  Event step = Own(Event::CLOCK_STEP, kAfternoon, 300 * kSecond);
  step.set_last_time_ns(kAfternoon + 120 * kMinute);
  Event silent;
  silent.set_kind(Event::AGENT_SILENT);
  silent.set_time_ns(kAfternoon + 60 * kMinute);
  EXPECT_THAT(Kinds(Examine(
                  {Attempt(1, kAfternoon + 120 * kMinute - kSecond, 299 * kSecond), step, silent})),
              ElementsAre(Event::AGENT_SILENT, Event::CONNECT, Event::CLOCK_STEP));
}

TEST(EvidenceTest, TimesThatNoClockShowsAreTakenToo) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  std::vector<Event> events;
  for (const uint64_t time : {uint64_t{0}, kMost, kAfternoon, kMost / 2}) {
    for (const uint64_t boot : {kMost, uint64_t{0}, kMost / 2}) {
      events.push_back(Attempt(1, time, boot));
      events.back().set_boot(absl::StrCat(events.size() % 5));
    }
  }
  EXPECT_EQ(Examine(events).events.size(), events.size());
}

TEST(EvidenceTest, WhatIsListedNoMoreIsCountedAllTheSame) {
  Event policy = Own(Event::POLICY, kAfternoon - kMinute, kSecond);
  const Evidence evidence =
      Examine({Attempt(3, kAfternoon + 2, 300 * kSecond), Attempt(2, kAfternoon + 1, 200 * kSecond),
               Attempt(1, kAfternoon, 100 * kSecond), policy},
              /*listed=*/2);
  EXPECT_THAT(Sequences(evidence), ElementsAre(0, 2, 3));
  EXPECT_EQ(evidence.left_out, 1u);
  EXPECT_EQ(evidence.attempts.begin()->second.count, 3u);
  EXPECT_EQ(evidence.attempts.begin()->second.first_ns, kAfternoon);
}

TEST(EvidenceTest, BinariesOfManyNamesTakeNoMoreThanTheRowsThatAreShown) {
  std::vector<Event> events;
  for (size_t i = 0; i < kMostRows + 7; ++i) {
    Event event = Postfix(i, kAfternoon + i);
    event.set_destination(absl::StrCat("2001:db8::", i % 10000, ":", i / 10000));
    event.set_rule(absl::StrCat(i));
    events.push_back(event);
  }
  const Evidence evidence = Examine(events, /*listed=*/0);
  EXPECT_EQ(evidence.attempts.size(), kMostRows);
  EXPECT_EQ(evidence.other_attempts.count, 7u);
  EXPECT_EQ(evidence.postfix.size(), kMostRows);
  EXPECT_EQ(evidence.other_postfix.count, 7u);
  EXPECT_EQ(evidence.verdicts.at({Event::CONNECT, "allowed"}), kMostRows + 7);
}

TEST(EvidenceTest, TheHeaviestSenderIsShownHoweverManyOthersComeAfterIt) {
  std::vector<Event> events;
  Event heavy = Attempt(0, kAfternoon, kSecond);
  heavy.set_rule("heavy");
  heavy.set_repeats(1'000'000);
  events.push_back(heavy);
  for (size_t i = 0; i < 3 * kMostRows; ++i) {
    Event event = Attempt(i + 1, kAfternoon + i, kSecond + i);
    event.set_rule(absl::StrCat(i));
    events.push_back(event);
  }
  for (const bool last : {false, true}) {
    if (last) std::reverse(events.begin(), events.end());
    const Evidence evidence = Examine(events, /*listed=*/0);
    EXPECT_EQ(evidence.attempts.size(), kMostRows);
    EXPECT_EQ(evidence.other_attempts.count, 2 * kMostRows + 1);
    EXPECT_TRUE(std::any_of(evidence.attempts.begin(), evidence.attempts.end(),
                            [](const auto& row) { return row.second.count == 1'000'001; }));
  }
}

TEST(EvidenceTest, WhatWasSaidAfterThePolicyIsSaidToo) {
  Event policy = Own(Event::POLICY, kAfternoon, kMinute);
  policy.add_policy("default: deny");
  Event stopped = Own(Event::POLICY, kAfternoon + kSecond, kMinute + kSecond);
  stopped.set_message("agent stopped: nothing is judged or recorded until it starts again");
  const PolicyBefore before = PolicyAfter({stopped, policy});
  ASSERT_TRUE(before.in_force && before.last_word);
  EXPECT_EQ(before.in_force->policy_size(), 1);
  EXPECT_EQ(before.last_word->message(), stopped.message());
  EXPECT_FALSE(PolicyAfter({policy, stopped}).last_word);
}

Event Announced(const std::string& agent, const std::string& version, uint64_t time_ns) {
  Event event = Own(Event::POLICY, time_ns, time_ns - kAfternoon + kMinute);
  event.set_agent(agent);
  event.set_agent_version(version);
  event.set_generation(7);
  event.set_mode("enforce");
  event.add_policy("default: deny whatever no rule matches");
  return event;
}

Event RecordedBy(const std::string& agent, uint64_t time_ns) {
  Event event = Attempt(1, time_ns, time_ns - kAfternoon + kMinute);
  event.set_agent(agent);
  return event;
}

TEST(EvidenceTest, RecordersHaveTheVersionsThatTheyHadThen) {
  Event silent = Own(Event::AGENT_SILENT, kAfternoon, kMinute);
  silent.set_agent("cccc");
  const Evidence evidence = Examine(
      {Announced("bbbb", "0.6.0", kAfternoon + 3 * kMinute),
       RecordedBy("bbbb", kAfternoon + 2 * kMinute), Announced("aaaa", "0.5.0", kAfternoon + 120),
       Announced("aaaa", "0.4.0", kAfternoon + 60), RecordedBy("aaaa", kAfternoon), silent});
  const std::vector<Recorder> recorders =
      RecordersOf(evidence, Announced("aaaa", "0.4.0", kAfternoon - 600 * kMinute));
  ASSERT_EQ(recorders.size(), 2u);
  EXPECT_EQ(recorders[0].agent, "aaaa");
  ASSERT_EQ(recorders[0].versions.size(), 2u);
  EXPECT_EQ(recorders[0].versions[0].version, "0.4.0");
  EXPECT_EQ(recorders[0].versions[0].since_ns, kAfternoon - 600 * kMinute);
  EXPECT_EQ(recorders[0].versions[1].version, "0.5.0");
  EXPECT_EQ(recorders[0].versions[1].since_ns, kAfternoon + 120);
  EXPECT_EQ(recorders[1].agent, "bbbb");
  ASSERT_EQ(recorders[1].versions.size(), 1u);
  EXPECT_TRUE(recorders[1].attempts_before);
  EXPECT_FALSE(recorders[0].attempts_before);
  EXPECT_TRUE(
      RecordersOf(Examine({RecordedBy("aaaa", kAfternoon)}), std::nullopt)[0].versions.empty());
}

TEST(EvidenceTest, WhatAnAgentTellsOfTheTimeBeforeItIsOfItsVersion) {
  Event gap = Own(Event::GAP, kAfternoon - 60 * kMinute, kMinute);
  gap.set_agent("aaaa");
  // By a clock that was set back after the start.
  Event attempt = RecordedBy("aaaa", kAfternoon - 30 * kMinute);
  attempt.set_boot_time_ns(3 * kMinute);
  Event announced = Announced("aaaa", "0.5.0", kAfternoon);
  announced.set_boot_time_ns(2 * kMinute);
  const std::vector<Recorder> recorders =
      RecordersOf(Examine({announced, attempt, gap}), std::nullopt);
  ASSERT_EQ(recorders.size(), 1u);
  EXPECT_FALSE(recorders[0].attempts_before);
}

TEST(EvidenceTest, AttemptsAreCountedWithTheirRepeats) {
  Event repeats = Attempt(2, kAfternoon, 7);
  repeats.set_repeats(40);
  repeats.set_last_time_ns(kAfternoon + kMinute);
  const Evidence evidence = Examine({repeats, Attempt(1, kAfternoon - kMinute, 5)});
  ASSERT_EQ(evidence.attempts.size(), 1u);
  const Tally& tally = evidence.attempts.begin()->second;
  EXPECT_EQ(tally.count, 42u);
  EXPECT_EQ(tally.first_ns, kAfternoon - kMinute);
  EXPECT_EQ(tally.last_ns, kAfternoon + kMinute);
  EXPECT_EQ(evidence.verdicts.at({Event::CONNECT, "denied"}), 42u);
}

TEST(EvidenceTest, OnlyWhatIsShownToBePostfixCountsAsIt) {
  EXPECT_TRUE(ClaimOfPostfix(Postfix(1, kAfternoon)).is);
  for (const auto& forge : std::vector<std::function<void(Event&)>>{
           [](Event& event) { event.set_identity(Event::SEEDED); },
           [](Event& event) { event.set_identity(Event::MM); },
           [](Event& event) { event.set_exe_trusted(false); },
           [](Event& event) { event.set_started_as(105); },
           [](Event& event) { event.set_exe_unlinked(true); },
           [](Event& event) { event.set_in_user_namespace(true); },
           [](Event& event) {
             event.set_exe("/tmp/postfix/smtp"), event.set_exe_trusted(false);
           }}) {
    Event event = Postfix(1, kAfternoon);
    forge(event);
    EXPECT_TRUE(ClaimOfPostfix(event).claims);
    EXPECT_FALSE(ClaimOfPostfix(event).is) << event.ShortDebugString();
    EXPECT_EQ(Examine({event}).unproven_postfix, 1u);
    EXPECT_TRUE(Examine({event}).postfix.empty());
  }
  EXPECT_FALSE(ClaimOfPostfix(Attempt(1, kAfternoon, 1)).claims);
}

TEST(EvidenceTest, WhatDidNotLeaveTheHostWasNotSent) {
  for (const Event::Verdict verdict : {Event::DENIED, Event::OVER_LIMIT, Event::REDIRECTED}) {
    Event event = Postfix(1, kAfternoon);
    event.set_verdict(verdict);
    const Evidence evidence = Examine({event});
    EXPECT_TRUE(evidence.postfix.empty()) << verdict;
    EXPECT_EQ(evidence.unproven_postfix, 0u);
    EXPECT_EQ(evidence.events.size(), 1u);
  }
  Event local = Postfix(1, kAfternoon);
  local.set_destination_local(true);
  EXPECT_TRUE(Examine({local}).postfix.empty());
  Event monitored = Postfix(1, kAfternoon);
  monitored.set_verdict(Event::WOULD_DENY);
  EXPECT_EQ(Examine({monitored}).postfix.size(), 1u);
}

TEST(EvidenceTest, ProofsAreCountedAndNotListed) {
  Event proof = Attempt(1, kAfternoon, 1);
  proof.set_kind(Event::CANARY);
  Event failed = proof;
  failed.clear_verdict();
  failed.set_message("the canary passed");
  const Evidence evidence = Examine({proof, failed});
  EXPECT_EQ(evidence.proofs.count, 1u);
  EXPECT_EQ(evidence.failed_proofs.count, 1u);
  EXPECT_EQ(evidence.events.size(), 1u);
  EXPECT_TRUE(evidence.attempts.empty());
}

class EvidenceCommandTest : public CliTest {
 protected:
  EvidenceCommandTest() : collector_(Socket("query.sock")) {
    now_ = kAfternoon + 30 * kMinute;
    collector_.completeness.set_complete(true);
    v1::Host* host = collector_.hosts.add_hosts();
    host->set_host("web1");
    host->set_agent("6f1d");
    host->set_version("0.1.0");
    host->set_last_seen_ns(kAfternoon + 20 * kMinute);
    Event policy;
    policy.set_kind(Event::POLICY);
    policy.set_host("web1");
    policy.set_agent("5e0c");
    policy.set_agent_version("0.0.9");
    policy.set_time_ns(kAfternoon - 600 * kMinute);
    policy.set_generation(7);
    policy.set_mode("enforce");
    policy.set_message("configuration read again: mode enforce, generation 7, 1 rule");
    policy.add_policy("ports 25, 465, 587; what is denied fails with EPERM");
    policy.add_policy("postfix: allow user postfix (105)");
    policy.add_policy("default: deny whatever no rule matches");
    Event later = policy;
    later.clear_policy();
    later.set_message("agent stopped: the policy stays in force");
    collector_.policies = {later, policy};
  }

  Result Evidence(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"evidence", "--host",           "web1",
                                      "--at",     "2026-03-01 14:30", "--window",
                                      "15m",      "--collector",      Socket("query.sock")};
    words.insert(words.end(), more.begin(), more.end());
    return Postern(words);
  }

  FakeCollector collector_;
};

TEST_F(EvidenceCommandTest, TheReportSaysWhoWhereByWhichPolicyAndWhetherItIsWhole) {
  collector_.events = {Postfix(3, kAfternoon + kMinute), Attempt(2, kAfternoon, 100 * kSecond)};
  const Result result = Evidence();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(collector_.found.filter().since_ns(), kAfternoon - 15 * kMinute);
  EXPECT_EQ(collector_.found.filter().until_ns(), kAfternoon + 15 * kMinute + 1);
  EXPECT_THAT(collector_.found.filter().hosts(), ElementsAre("web1"));
  EXPECT_TRUE(collector_.found.filter().canaries());
  for (const char* line :
       {"Mail connections of host web1\n",
        "Time: 2026-03-01 14:15:00 to 2026-03-01 14:45:00 UTC (2026-03-01 14:30:00 plus",
        "or minus 15m)\n", "Made: 2026-03-01 15:00:00 UTC by postern ",
        "Recorded by: agent 5e0c, posternd 0.0.9\n",
        "Known of the host when this was made: agent 6f1d, posternd 0.1.0, last",
        "From the beginning (since 2026-03-01 04:30:00 UTC): generation 7, mode enforce\n",
        "postfix: allow user postfix (105)\n", "2 attempts: 1 allowed, 1 denied\n",
        "/usr/bin/perl (/var/www/x.pl)", "192.0.2.25:25",
        "Postfix's smtp(8) made 1 connection; what became", "198.51.100.7:25  1 connection",
        "Not proven in this time", "The record is complete for this time.\n"}) {
    EXPECT_THAT(result.out, HasSubstr(line));
  }
}

TEST_F(EvidenceCommandTest, WhatIsMissingIsSaidAndTheExitCodeSaysIt) {
  collector_.completeness.set_complete(false);
  collector_.completeness.set_missing(12);
  v1::HostGap* gap = collector_.completeness.add_gaps();
  gap->set_host("web1");
  gap->mutable_gap()->set_reason(v1::Gap::SPOOL_FULL);
  gap->mutable_gap()->set_count(12);
  gap->mutable_gap()->set_from_ns(kAfternoon);
  gap->mutable_gap()->set_to_ns(kAfternoon + kSecond);
  const Result result = Evidence();
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.out, HasSubstr("Nobody did, as far as the record goes.\n"));
  EXPECT_THAT(result.out, HasSubstr("12 events missing between 2026-03-01 14:30:00"));
  EXPECT_THAT(result.out, HasSubstr("The record is NOT complete for this time"));
}

TEST_F(EvidenceCommandTest, ACanaryThatPassedIsNotHiddenBehindThoseThatWereDenied) {
  Event denied = Attempt(1, kAfternoon, 1);
  denied.set_kind(Event::CANARY);
  Event passed = Attempt(2, kAfternoon + kMinute, 2);
  passed.set_kind(Event::CANARY);
  passed.set_verdict(Event::ALLOWED);
  collector_.events = {passed, denied};
  const std::string report = Evidence().out;
  EXPECT_THAT(report, HasSubstr("NOT always"));
  EXPECT_THAT(report, HasSubstr("Proven 1 time"));
}

TEST_F(EvidenceCommandTest, JsonIsTheSameAnObjectALine) {
  collector_.events = {Postfix(3, kAfternoon + kMinute), Attempt(2, kAfternoon, 100 * kSecond)};
  const Result result = Evidence({"--json"});
  EXPECT_EQ(result.code, 0);
  std::vector<json> lines;
  std::vector<std::string> kinds;
  for (const auto line : absl::StrSplit(result.out, '\n', absl::SkipEmpty())) {
    lines.push_back(json::parse(line));
    kinds.push_back(lines.back().at("kind"));
  }
  EXPECT_THAT(kinds, ElementsAre("evidence", "policy_in_force", "connect", "connect", "group",
                                 "group", "postfix", "proofs", "completeness"));
  EXPECT_EQ(lines[0].at("host"), "web1");
  EXPECT_EQ(lines[0].at("made"), "2026-03-01T15:00:00.000000000Z");
  EXPECT_THAT(std::string(lines[0].at("made_by")), HasSubstr("postern "));
  EXPECT_EQ(lines[0].at("recorders"), json::parse(R"([{"agent":"5e0c","versions":[
      {"version":"0.0.9","since":"2026-03-01T04:30:00.000000000Z"}]}])"));
  EXPECT_EQ(lines[0].at("host_when_made").at("agent"), "6f1d");
  EXPECT_EQ(lines[0].at("host_when_made").at("version"), "0.1.0");
  EXPECT_FALSE(lines[0].contains("agent"));
  EXPECT_EQ(lines[0].at("left_out"), 0);
  EXPECT_EQ(lines[1].at("mode"), "enforce");
  EXPECT_EQ(lines[1].at("generation"), 7);
  EXPECT_EQ(lines[1].at("policy").size(), 3u);
  EXPECT_EQ(lines[2].at("seq"), 2);
  EXPECT_EQ(lines[6].at("connections"), 1);
  EXPECT_EQ(lines[6].at("destinations")[0].at("destination"), "198.51.100.7:25");
  EXPECT_EQ(lines[8].at("complete"), true);
}

TEST_F(EvidenceCommandTest, WhatIsYetToComeIsNotVouchedFor) {
  now_ = kAfternoon + kMinute;
  const Result result = Evidence();
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, HasSubstr("2026-03-01 14:45:00 UTC"));
  EXPECT_THAT(absl::StrReplaceAll(result.out, {{"\n", " "}}),
              HasSubstr("plus or minus 15m), up to now, 2026-03-01 14:31:00: later has not "
                        "happened yet "));
  // Of a host whose clock is ahead there may be events all the same.
  EXPECT_EQ(collector_.found.filter().until_ns(), kAfternoon + 15 * kMinute + 1);
  const std::string lines = Evidence({"--json"}).out;
  EXPECT_THAT(lines, HasSubstr("\"until\":\"2026-03-01T14:31:00.000000001Z\""));
  EXPECT_THAT(lines, Not(HasSubstr("14:45")));
  now_ = kAfternoon - 60 * kMinute;
  EXPECT_THAT(absl::StrReplaceAll(Evidence().out, {{"\n", " "}}),
              HasSubstr("of which nothing has happened yet: it is 2026-03-01 13:30:00"));
}

TEST_F(EvidenceCommandTest, VersionsAreThoseOfThatTimeAndNotOfToday) {
  collector_.events = {Announced("bbbb", "0.6.0", kAfternoon + 3 * kMinute),
                       RecordedBy("bbbb", kAfternoon + 2 * kMinute),
                       Announced("5e0c", "0.5.0", kAfternoon + kMinute),
                       RecordedBy("5e0c", kAfternoon)};
  const std::string report = Evidence().out;
  EXPECT_THAT(report, HasSubstr("Recorded by: agent 5e0c, posternd 0.0.9, from 2026-03-01 14:31:00 "
                                "UTC on 0.5.0\n"));
  EXPECT_THAT(report, HasSubstr("Recorded by: agent bbbb, posternd of a version not on record, "
                                "from 2026-03-01 14:33:00 UTC on 0.6.0\n"));
  EXPECT_THAT(report, HasSubstr("From 2026-03-01 14:31:00 UTC on: generation 7, mode enforce; "));
}

TEST_F(EvidenceCommandTest, WhereNothingIsOnRecordNobodyIsNamed) {
  EXPECT_THAT(Evidence().out, HasSubstr("Recorded by: no event of this time is on record.\n"));
}

TEST_F(EvidenceCommandTest, WhatHasNoVerdictIsSaidToBeWhatItIs) {
  Event raw = Attempt(3, kAfternoon + 2, 103 * kSecond);
  raw.set_kind(Event::RAW_SOCKET);
  raw.clear_verdict();
  raw.clear_rule();
  Event packet = raw;
  packet.set_kind(Event::PACKET_SOCKET);
  packet.set_verdict(Event::ALLOWED);
  Event earlier = Attempt(4, kAfternoon + 3, 104 * kSecond);
  earlier.set_kind(Event::EARLIER_CONNECTION);
  earlier.clear_verdict();
  earlier.clear_rule();
  collector_.events = {
      earlier, packet, raw, raw, Postfix(2, kAfternoon + 1), Attempt(1, kAfternoon, 100 * kSecond)};
  const std::string report = Evidence().out;
  EXPECT_THAT(report, HasSubstr("2 attempts: 1 allowed, 1 denied; 2 raw sockets; 1 packet socket: "
                                "1 allowed; 1 connection from before the agent\n"));
  EXPECT_THAT(report, HasSubstr("(raw_socket)"));
  EXPECT_THAT(Evidence({"--json"}).out, HasSubstr("\"kind\":\"group\",\"of\":\"raw_socket\""));
}

TEST_F(EvidenceCommandTest, AWindowOfAnySizeHasItsReport) {
  for (uint64_t i = 100'001; i > 0; --i) {
    collector_.events.push_back(Attempt(i, kAfternoon + i, 100 * kSecond + i));
  }
  const Result result = Evidence();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(collector_.found.limit(), 0u);
  EXPECT_THAT(result.out, HasSubstr("100001 attempts: 100001 denied\n"));
  EXPECT_THAT(result.out, HasSubstr("NOT all: the older 90001 records of attempts are left out"));
  EXPECT_THAT(result.out, HasSubstr("The record is complete for this time.\n"));
  const Result two = Evidence({"--limit", "2", "--json"});
  EXPECT_THAT(two.out, HasSubstr("\"left_out\":99999"));
  EXPECT_THAT(two.out, HasSubstr("\"count\":100001"));
  EXPECT_THAT(two.out, HasSubstr("\"seq\":100000,"));
  EXPECT_THAT(two.out, Not(HasSubstr("\"seq\":99999,")));
  EXPECT_THAT(Evidence({"--limit", "0"}).out, Not(HasSubstr("NOT all")));
  EXPECT_EQ(Evidence({"--limit", "many"}).code, 2);
}

TEST_F(EvidenceCommandTest, AFailureOfTheCollectorIsItsOwnLine) {
  collector_.failure = "cannot reach ClickHouse at clickhouse://db1:8123/postern: refused";
  const Result result = Evidence();
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "postern: the collector at " + Socket("query.sock") +
                            " could not answer: " + collector_.failure + "\n");
}

TEST_F(EvidenceCommandTest, APolicyThatIsNotOnRecordIsSaidToBeSo) {
  collector_.policies.clear();
  EXPECT_THAT(Evidence().out, HasSubstr("At the beginning: not on record"));
}

TEST_F(EvidenceCommandTest, ANarrowTerminalLosesNoSection) {
  width_ = 80;
  collector_.events = {Attempt(2, kAfternoon, 100 * kSecond)};
  const Result result = Evidence();
  for (const absl::string_view line : absl::StrSplit(result.out, '\n')) {
    EXPECT_LE(line.size(), 80u + 2) << line;
  }
  EXPECT_THAT(result.out, HasSubstr("Who connected\n"));
  EXPECT_THAT(result.out, HasSubstr("The record is complete"));
}

TEST_F(EvidenceCommandTest, WrongUsageIsOneLine) {
  EXPECT_EQ(Postern({"evidence", "--at", "now"}).code, 2);
  EXPECT_EQ(Postern({"evidence", "--host", "web1"}).code, 2);
  const Result result = Postern({"evidence", "--host", "web1", "--at", "yesterday"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("postern: --at: "));
}

}  // namespace
}  // namespace postern::cli
