// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/enricher.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bpf/abi/event.h"

namespace postern::enrich {
namespace {

Enricher MakeEnricher() {
  return Enricher(
      {"web1", "a1", "b1"},
      [](uint32_t generation, uint16_t rule) {
        return absl::StrCat("rule-", generation, "-", rule);
      },
      *MountTable::Open(), std::nullopt,
      UserNames([](uint32_t uid) { return absl::StrCat("user-", uid); }));
}

TEST(EnricherTest, AnEventGetsTheNamesThatOutliveItsProcess) {
  v1::Event event;
  event.set_generation(3);
  event.set_uid(33);
  event.set_exe("/usr/bin/perl");
  event.add_args("perl");
  event.add_args("bot.pl");
  event.add_args("--password=x");
  MakeEnricher().Enrich(2, event);
  EXPECT_EQ(event.host(), "web1");
  EXPECT_EQ(event.agent(), "a1");
  EXPECT_EQ(event.boot(), "b1");
  EXPECT_EQ(event.rule(), "rule-3-2");
  EXPECT_EQ(event.user(), "user-33");
  EXPECT_EQ(event.script(), "bot.pl");
  EXPECT_EQ(event.args(2), "--password=***");
}

TEST(EnricherTest, OnlyWhatARuleDecidedNamesOne) {
  const auto rule = [](v1::Event::Kind kind, v1::Event::Verdict verdict) {
    v1::Event event;
    event.set_kind(kind);
    event.set_verdict(verdict);
    event.set_generation(3);
    MakeEnricher().Enrich(2, event);
    return event.rule();
  };
  EXPECT_EQ(rule(v1::Event::CONNECT, v1::Event::ALLOWED), "rule-3-2");
  EXPECT_EQ(rule(v1::Event::RAW_SOCKET, v1::Event::DENIED), "");
  EXPECT_EQ(rule(v1::Event::PACKET_SOCKET, v1::Event::ALLOWED), "");
  EXPECT_EQ(rule(v1::Event::EARLIER_CONNECTION, v1::Event::ALLOWED), "");
  EXPECT_EQ(rule(v1::Event::EARLIER_CONNECTION, v1::Event::DENIED), "rule-3-2");
}

TEST(EnricherTest, WhoHoldsASocketHasTheArgumentsThatItShows) {
  char comm[16] = "";
  ASSERT_EQ(prctl(PR_GET_NAME, comm), 0);
  v1::Event event;
  event.set_kind(v1::Event::EARLIER_CONNECTION);
  event.set_pid(static_cast<uint32_t>(getpid()));
  event.set_comm(comm);
  v1::Event of_another = event;
  of_another.set_comm("other");
  v1::Event of_connect = event;
  of_connect.set_kind(v1::Event::CONNECT);
  MakeEnricher().Enrich(0, event);
  ASSERT_GT(event.args_size(), 0);
  EXPECT_TRUE(absl::StrContains(event.args(0), "agent_enrich_test"));
  MakeEnricher().Enrich(0, of_another);
  EXPECT_EQ(of_another.args_size(), 0);
  MakeEnricher().Enrich(0, of_connect);
  EXPECT_EQ(of_connect.args_size(), 0);
}

TEST(EnricherTest, TheKernelsScriptGoesBeforeTheGuess) {
  v1::Event event;
  event.set_exe("/usr/bin/perl");
  event.set_script("./run");
  event.add_args("perl");
  event.add_args("/tmp/other");
  MakeEnricher().Enrich(0, event);
  EXPECT_EQ(event.script(), "./run");
}

TEST(EnricherTest, ASecretIsNotTakenForTheScript) {
  v1::Event event;
  event.set_exe("/usr/bin/php8.2");
  for (const char* arg : {"php", "-c", "php.ini", "--credential", "geheim31"}) event.add_args(arg);
  MakeEnricher().Enrich(0, event);
  EXPECT_EQ(event.args(4), "***");
  EXPECT_EQ(event.script(), "");
}

TEST(EnricherTest, ACutPathIsNotPlaced) {
  v1::Event event;
  event.set_exe("deep/bot");
  event.set_exe_cut(true);
  event.mutable_exe_file()->set_device("8:1");
  MakeEnricher().Enrich(0, event);
  EXPECT_EQ(event.exe(), "deep/bot");
}

TEST(EnricherTest, ABinaryOfAFileSystemThatIsNotMountedHereIsShownByItsDevice) {
  v1::Event event;
  event.set_exe("/usr/lib/postfix/sbin/smtp");
  event.mutable_exe_file()->set_device("0:99999");
  MakeEnricher().Enrich(0, event);
  EXPECT_EQ(event.exe(), "[0:99999]/usr/lib/postfix/sbin/smtp");
}

TEST(EnricherTest, ABinaryOfThisHostsRootIsShownByItsPath) {
  auto table = MountTable::Open();
  ASSERT_TRUE(table.ok());
  for (const Mount& mount : table->mounts()) {
    if (mount.point != "/") continue;
    v1::Event event;
    event.set_exe(absl::StrCat(mount.root == "/" ? "" : mount.root, "/usr/bin/bot"));
    event.mutable_exe_file()->set_device(mount.device);
    MakeEnricher().Enrich(0, event);
    EXPECT_EQ(event.exe(), "/usr/bin/bot");
    return;
  }
  FAIL() << "no mount at /";
}

TEST(EnricherTest, OfACanaryOnlyTheProofIsKeptAndNoRuleIsNamed) {
  v1::Event event;
  event.set_kind(v1::Event::CANARY);
  event.set_exe("/usr/sbin/posternd");
  event.add_args("posternd");
  event.add_ancestors()->set_pid(1);
  event.mutable_exe_file()->set_device("0:99999");
  event.set_uid(65534);
  event.set_pid(42);
  MakeEnricher().Enrich(POSTERN_RULE_DEFAULT, event);
  EXPECT_EQ(event.rule(), "");
  EXPECT_NE(event.user(), "");
  EXPECT_NE(event.host(), "");
  EXPECT_EQ(event.pid(), 42u);
  EXPECT_EQ(event.args_size() + event.ancestors_size(), 0);
  EXPECT_FALSE(event.has_exe_file());
}

v1::Event First() {
  v1::Event first;
  first.set_kind(v1::Event::CONNECT);
  first.set_seq(7);
  first.set_time_ns(100);
  first.set_verdict(v1::Event::ALLOWED);
  first.set_pid(42);
  first.set_tid(43);
  first.set_comm("perl");
  first.set_exe("/usr/bin/perl");
  first.add_args("perl");
  first.set_destination("192.0.2.1");
  first.set_family("ipv4");
  first.set_port(25);
  first.set_socket(9);
  return first;
}

TEST(RepeatsTest, TheyAreTheirFirstAttemptButForWhatTheyCount) {
  v1::Event repeats;
  repeats.set_seq(20);
  repeats.set_time_ns(200);
  repeats.set_last_time_ns(300);
  repeats.set_repeats(9);
  repeats.set_verdict(v1::Event::DENIED);
  repeats.set_destination("192.0.2.1");
  repeats.set_pid(42);
  CompleteRepeats(First(), repeats);
  EXPECT_EQ(repeats.seq(), 20u);
  EXPECT_EQ(repeats.time_ns(), 200u);
  EXPECT_EQ(repeats.repeats(), 9u);
  EXPECT_EQ(repeats.verdict(), v1::Event::DENIED);
  EXPECT_EQ(repeats.exe(), "/usr/bin/perl");
  EXPECT_EQ(repeats.args_size(), 1);
  EXPECT_EQ(repeats.destination(), "192.0.2.1");
  EXPECT_FALSE(repeats.has_socket());
  EXPECT_FALSE(repeats.has_tid());
}

TEST(RepeatsTest, WhatWasNotKeptIsNotClaimed) {
  v1::Event repeats;
  repeats.set_seq(20);
  repeats.set_destinations_not_kept(true);
  repeats.set_port(25);
  v1::Event first = First();
  first.set_destination_local(true);
  CompleteRepeats(first, repeats);
  EXPECT_EQ(repeats.exe(), "/usr/bin/perl");
  EXPECT_TRUE(repeats.destination().empty());
  EXPECT_FALSE(repeats.has_destination_local());
  EXPECT_FALSE(repeats.has_pid());
  EXPECT_EQ(repeats.port(), 25u);
}

TEST(RepeatsTest, ARepeatOfARepeatCountsItsOwn) {
  v1::Event first = First();
  first.set_repeats(99);
  first.set_last_time_ns(1000);
  v1::Event repeats;
  repeats.set_seq(20);
  CompleteRepeats(first, repeats);
  EXPECT_EQ(repeats.repeats(), 0u);
  EXPECT_FALSE(repeats.has_last_time_ns());
}

}  // namespace
}  // namespace postern::enrich
