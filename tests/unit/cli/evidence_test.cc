// SPDX-License-Identifier: Apache-2.0
#include "cli/evidence.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "tests/unit/cli/fake_collector.h"
#include "tests/unit/cli/fixture.h"

namespace postern::cli {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using v1::Event;

constexpr uint64_t kMinute = 60 * kSecond;

Event Attempt(uint64_t seq, uint64_t time_ns, uint64_t boot_time_ns) {
  Event event;
  event.set_kind(Event::CONNECT);
  event.set_host("web1");
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
  EXPECT_EQ(evidence.verdicts.at("denied"), 42u);
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
    collector_.completeness.set_complete(true);
    v1::Host* host = collector_.hosts.add_hosts();
    host->set_host("web1");
    host->set_agent("6f1d");
    host->set_version("0.1.0");
    host->set_last_seen_ns(kAfternoon + 20 * kMinute);
    Event policy;
    policy.set_kind(Event::POLICY);
    policy.set_host("web1");
    policy.set_time_ns(kAfternoon - 600 * kMinute);
    policy.set_generation(7);
    policy.set_mode("enforce");
    policy.set_message("configuration read again: mode enforce, generation 7, 1 rules");
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
  now_ = kAfternoon + 30 * kMinute;
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
        "Recorded by: posternd 0.1.0, agent 6f1d",
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
  now_ = kAfternoon + 30 * kMinute;
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
  EXPECT_EQ(lines[1].at("mode"), "enforce");
  EXPECT_EQ(lines[1].at("generation"), 7);
  EXPECT_EQ(lines[1].at("policy").size(), 3u);
  EXPECT_EQ(lines[2].at("seq"), 2);
  EXPECT_EQ(lines[6].at("connections"), 1);
  EXPECT_EQ(lines[6].at("destinations")[0].at("destination"), "198.51.100.7:25");
  EXPECT_EQ(lines[8].at("complete"), true);
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
