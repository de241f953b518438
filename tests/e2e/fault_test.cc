// SPDX-License-Identifier: Apache-2.0
// Daemons that are killed, stopped or without room, and a clock that is set.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/e2e/faults.h"
#include "tests/support/lab/small_disk.h"
#include "tests/support/lab/tls_collector.h"

namespace postern::lab {
namespace {

TEST_F(Faults, AgentAndCollectorKilledAtRandomPoints) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  ASSERT_NO_FATAL_FAILURE(StartCallers());
  int agents = 0;
  int starting = 0;
  int collectors = 0;
  for (int round = 0; round < Rounds(); ++round) {
    Meanwhile(200);
    const int which = std::uniform_int_distribution<int>(0, 2)(random_);
    if (which != 1) {
      callers_->Remark("a kill of the agent");
      postern().KillAgent();
      ++agents;
    }
    if (which != 0) {
      callers_->Remark("a kill of the collector");
      postern().KillCollector();
      ++collectors;
    }
    Meanwhile(60);
    if (which != 0) {
      if (Chance()) {
        postern().BeginCollector();
        Meanwhile(10);
        postern().KillCollector();
        ++collectors;
      }
      ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
    }
    if (which != 1) {
      if (Chance()) {
        postern().BeginAgent();
        Meanwhile(60);
        callers_->Remark("a kill while the agent started");
        postern().KillAgent();
        ++starting;
      }
      ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
    }
  }
  std::cout << Rounds() << " rounds: " << agents << " kills of the agent, " << starting
            << " more while it started, " << collectors << " of the collector\n";
  ExpectBooksOnRecord();
}

TEST_F(Faults, CollectorThatHangs) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  ASSERT_NO_FATAL_FAILURE(StartCallers());
  for (int round = 0; round < 3; ++round) {
    Meanwhile(200);
    callers_->Remark("a stop of the collector");
    postern().collector().Signal(SIGSTOP);
    // Nobody who connects waits for it, and the kernel loses nothing.
    callers_->AwaitEach(50);
    EXPECT_EQ(postern().Status()["counters"].value("lost", uint64_t{1}), 0u);
    if (Full()) {
      EXPECT_TRUE(
          Eventually([&] { return !postern().Status()["collector"].value("connected", true); },
                     absl::Minutes(2)))
          << postern().Status();
    }
    postern().collector().Signal(SIGCONT);
  }
  ExpectBooksOnRecord();
}

TEST_F(Faults, CollectorWhoseDiskIsFull) {
  const SmallDisk disk(fs::path(postern().store()).parent_path(), 8);
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector(disk.There()));
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  postern().ExpectComplete();
  ASSERT_NO_FATAL_FAILURE(StartCallers());
  Meanwhile(200);
  ASSERT_NO_FATAL_FAILURE(disk.Fill());
  callers_->Remark("a full disk of the collector");
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(postern().collector_log(),
                             "events cannot be stored, agents keep them");
  })) << postern().collector_log();
  EXPECT_TRUE(Eventually([&] { return Spooled() > 0; }));
  callers_->AwaitEach(20);
  ASSERT_NO_FATAL_FAILURE(disk.MakeRoom());
  ExpectBooksOnRecord();
  EXPECT_EQ(postern().StopAgent(), 0);
  EXPECT_EQ(postern().StopCollector(), 0);
}

TEST_F(Faults, ClockThatIsSetForwardAndBack) {
  const std::string file = root() + "/step";
  WriteFile(file, std::string(sizeof(int64_t), '\0'));
  const UniqueFd fd(open(file.c_str(), O_RDWR | O_CLOEXEC));
  void* mapped = mmap(nullptr, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  volatile auto* step = static_cast<volatile int64_t*>(mapped);
  // As on another host: the clock of the same one would be no witness.
  const TlsCollector tls(postern(), root() + "/pki", "24h");
  Configure(tls.address());
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
  ASSERT_NO_FATAL_FAILURE(tls.Enrol());
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent(
      {"env", absl::StrCat("LD_PRELOAD=", Program("clock.so")), "CLOCK_STEP=" + file}));
  postern().ExpectComplete();
  EXPECT_TRUE(Eventually([&] {
    return postern().Status().value("collector", json::object()).contains("clock_ahead_ns");
  })) << "the collector did not vouch for the clock: "
      << postern().Status();
  ASSERT_NO_FATAL_FAILURE(StartCallers());
  Meanwhile(200);
  const auto differs = [&] {
    return absl::StrContains(postern().Status().value("problems", json::array()).dump(),
                             "the collector's, and events lie under this host's time");
  };
  std::vector<absl::Time> misplaced;
  int64_t steps = 0;
  for (const absl::Duration by : {absl::Hours(2), absl::Hours(-1), absl::Seconds(-90)}) {
    callers_->Remark("a step of the clock");
    *step = absl::ToInt64Nanoseconds(by);
    ++steps;
    const auto told = [&] {
      return postern().Ask({"query", "--since", "-7d", "--kind", "clock_step"}).lines.size() - 1;
    };
    EXPECT_TRUE(Eventually([&] { return told() == static_cast<size_t>(steps); }))
        << told() << " of " << steps << postern().agent_log();
    // It goes on at once, whatever the clock says.
    const size_t made = callers_->Attempts();
    EXPECT_TRUE(Eventually([&] { return Recorded() > made; })) << postern().Status();
    misplaced.push_back(absl::Now());
    misplaced.push_back(absl::Now() + by);
    EXPECT_TRUE(Eventually([&] { return differs(); })) << postern().Status();
  }
  *step = 0;
  callers_->Remark("the clock is set right");
  EXPECT_TRUE(Eventually([&] {
    return postern().Ask({"query", "--since", "-7d", "--kind", "clock_step"}).lines.size() ==
           static_cast<size_t>(steps) + 2;
  }));
  EXPECT_TRUE(Eventually([&] { return !differs(); })) << postern().Status();
  // The time in which it was wrong is in doubt, by each of the clocks; one that none of
  // them showed is not.
  const auto in_doubt = [&](absl::Time time) {
    const Answer answer =
        postern().Ask({"query", "--at", absl::FormatTime(time), "--window", "1s"});
    const json gaps = answer.Completeness().value("gaps", json::array());
    return std::any_of(gaps.begin(), gaps.end(), [](const json& gap) {
      return gap.value("reason", std::string()) == "clock_set";
    });
  };
  for (const absl::Time time : misplaced) EXPECT_TRUE(in_doubt(time)) << time;
  EXPECT_FALSE(in_doubt(absl::Now() + absl::Hours(1)));
  // No agent was there yet, whatever an event that lies before says.
  EXPECT_TRUE(in_doubt(absl::Now() - absl::Minutes(30)));
  callers_->Stop();
  callers_->ExpectOnRecord(postern());
  // In the order of the clock that nobody sets; of two attempts at a time on two processors
  // the one judged first may get the later sequence.
  const Answer evidence =
      postern().Ask({"evidence", "--host", "lab.example.net", "--at", "now", "--window", "4h"});
  std::pair<uint64_t, uint64_t> last;
  size_t events = 0;
  for (const json& line : evidence.lines) {
    const std::pair place(line.value("boot_time_ns", uint64_t{0}), line.value("seq", uint64_t{0}));
    // Repeats have the time of their first and a later sequence.
    if (place.second == 0 || line.contains("repeats")) continue;
    EXPECT_GT(place.first, 0u) << line;
    EXPECT_GT(place, last) << line;
    last = place;
    ++events;
  }
  EXPECT_GT(events, 20u) << evidence.error;
  munmap(mapped, sizeof(int64_t));
}

}  // namespace
}  // namespace postern::lab
