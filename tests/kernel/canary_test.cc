// SPDX-License-Identifier: Apache-2.0
// Who the canary is, and that nobody else is.
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "bpf/abi/event.h"
#include "tests/kernel/kernel_test.h"

namespace postern::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr char kAsWwwData[] = "--uid=33";

class CanaryTest : public KernelTest {
 protected:
  CanaryTest() : KernelTest(SensorOf::kSuite) {}

  // A process that waits to connect, and is the canary.
  std::unique_ptr<Command> Canary(std::vector<std::string> options,
                                  const std::string& to = kInternet4) {
    std::unique_ptr<Command> waiting = Waiting(std::move(options), to);
    const absl::Status known = sensor_->RegisterCanary(static_cast<uint32_t>(waiting->pid()));
    EXPECT_TRUE(known.ok()) << known;
    return waiting;
  }
  std::unique_ptr<Command> Waiting(std::vector<std::string> options,
                                   const std::string& to = kInternet4) {
    options.push_back("--wait");
    auto waiting = std::make_unique<Command>(ConnectLine(std::move(options), to));
    waiting->ReadReport();
    return waiting;
  }
  // What its attempts come to.
  static std::vector<std::string> Results(Command& waiting) {
    waiting.WriteLine("");
    std::vector<std::string> results;
    for (const Report& report : waiting.Finish()) results.push_back(report.at("result"));
    return results;
  }
  uint64_t Verdicts() {
    uint64_t verdicts = 0;
    for (uint32_t v = POSTERN_VERDICT_ALLOWED; v <= POSTERN_VERDICT_OVER_LIMIT; ++v) {
      verdicts += Counter(POSTERN_COUNTER_VERDICT + v);
    }
    return verdicts;
  }
};

TEST_F(CanaryTest, ItAloneIsDeniedInMonitorMode) {
  Monitor({AllowAll()});
  const auto canary = Canary({kAsWwwData});
  const auto other = Waiting({kAsWwwData});
  EXPECT_THAT(Results(*canary), ElementsAre("EPERM"));
  EXPECT_THAT(Results(*other), ElementsAre("OK"));
  const Events& events = ReadEventsUntil([](const Events& e) { return e.size() == 2; });
  for (const v1::Event& event : events) {
    const bool of_canary = event.pid() == static_cast<uint32_t>(canary->pid());
    EXPECT_EQ(event.kind(), of_canary ? v1::Event::CANARY : v1::Event::CONNECT);
    EXPECT_EQ(event.verdict(), of_canary ? v1::Event::DENIED : v1::Event::ALLOWED);
  }
}

TEST_F(CanaryTest, NeitherRuleLocalNorALimitIsAskedOrUsedUp) {
  policy::Rule local = AllowAll();
  local.name = "local";
  local.destination_local = true;
  local.limit = policy::Limit{.count = 1, .per = absl::Hours(24), .text = "1/d"};
  Enforce({local});
  EXPECT_THAT(Results(*Canary({kAsWwwData, "--count=3"}, "127.0.0.1")), Each("EPERM"));
  for (const v1::Event& event : ReadEvents()) EXPECT_EQ(event.verdict(), v1::Event::DENIED);
  EXPECT_THAT(Results(*Waiting({kAsWwwData, "--count=2"}, "127.0.0.1")),
              ElementsAre("OK", "EPERM"));
}

TEST_F(CanaryTest, ItFailsAsThePolicySaysInEitherFamily) {
  config_.deny_errno = EHOSTUNREACH;
  Monitor({AllowAll()});
  EXPECT_THAT(Results(*Canary({})), ElementsAre("EHOSTUNREACH"));
  EXPECT_THAT(Results(*Canary({"--mapped"})), ElementsAre("EHOSTUNREACH"));
  EXPECT_THAT(Results(*Canary({}, kInternet6)), ElementsAre("EHOSTUNREACH"));
}

TEST_F(CanaryTest, EachAttemptHasARecordAndNoneIsCountedAsAnybodys) {
  Enforce({});
  EXPECT_THAT(Results(*Canary({kAsWwwData, "--count=500", "--quiet"})), ElementsAre("EPERM"));
  const Events& events = ReadEventsUntil([](const Events& e) { return e.size() >= 500; });
  EXPECT_EQ(events.size(), 500u);
  for (const v1::Event& event : events) {
    EXPECT_EQ(event.kind(), v1::Event::CANARY);
    EXPECT_EQ(event.repeats(), 0u);
  }
  EXPECT_EQ(Counter(POSTERN_COUNTER_CANARIES), 500u);
  EXPECT_EQ(Verdicts(), 0u);
  EXPECT_EQ(Counter(POSTERN_COUNTER_COALESCED), 0u);
}

TEST_F(CanaryTest, ItsRecordsThatFindNoRoomAreNobodysLoss) {
  Enforce({});
  // More than the ring holds, and nobody reads.
  Results(*Canary({kAsWwwData, "--count=20000", "--quiet"}));
  EXPECT_EQ(Counter(POSTERN_COUNTER_CANARIES), 20000u);
  EXPECT_EQ(Counter(POSTERN_COUNTER_LOST_DENIED), 0u);
  EXPECT_LT(ReadEvents().size(), 20000u);
}

TEST_F(CanaryTest, ItsThreadsAreItAndItsChildrenAreNot) {
  Monitor({AllowAll()});
  EXPECT_THAT(Results(*Canary({"--who=thread"})), ElementsAre("EPERM"));
  EXPECT_THAT(Results(*Canary({"--who=fork"})), ElementsAre("OK"));
  EXPECT_THAT(Results(*Canary({"--who=double_fork"})), ElementsAre("OK"));
}

TEST_F(CanaryTest, WhatItExecsIsNotIt) {
  Monitor({AllowAll()});
  EXPECT_THAT(Results(*Canary({absl::StrCat("--then=", Attack("connect"))})),
              ElementsAre("EPERM", "OK"));
}

TEST_F(CanaryTest, WhoHasItsPidLaterIsNotIt) {
  Monitor({AllowAll()});
  auto canary = Canary({});
  const pid_t pid = canary->pid();
  // Before its input ends, on which it would connect.
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  canary.reset();
  const std::vector<std::string> line = ConnectLine({});
  std::vector<char*> argv;
  for (const std::string& word : line) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  clone_args args = {};
  args.exit_signal = SIGCHLD;
  args.set_tid = reinterpret_cast<uint64_t>(&pid);
  args.set_tid_size = 1;
  const auto again = static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof(args)));
  if (again == 0) {
    execv(argv[0], argv.data());
    _exit(127);
  }
  ASSERT_EQ(again, pid) << strerror(errno);
  EXPECT_EQ(waitpid(pid, nullptr, 0), pid);
  const Events& events = ReadEventsUntil([](const Events& e) { return !e.empty(); });
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].pid(), static_cast<uint32_t>(pid));
  EXPECT_EQ(events[0].kind(), v1::Event::CONNECT);
  EXPECT_EQ(events[0].verdict(), v1::Event::ALLOWED);
}

TEST_F(CanaryTest, OnceForgottenItIsJudgedLikeOthers) {
  Monitor({AllowAll()});
  const auto canary = Canary({});
  ASSERT_TRUE(sensor_->ForgetCanary().ok());
  EXPECT_THAT(Results(*canary), ElementsAre("OK"));
}

TEST_F(CanaryTest, AnotherTakesItsPlace) {
  Monitor({AllowAll()});
  const auto first = Canary({});
  const auto second = Canary({});
  EXPECT_THAT(Results(*first), ElementsAre("OK"));
  EXPECT_THAT(Results(*second), ElementsAre("EPERM"));
}

TEST_F(CanaryTest, ItIsNotHandedOnToTheNextAgent) {
  UseOwnSensor();
  Monitor({AllowAll()});
  const auto left = Canary({});
  StopSensor();
  Monitor({AllowAll()});
  EXPECT_THAT(Results(*left), ElementsAre("OK"));
}

TEST_F(CanaryTest, WhoIsNotInTheTableCannotBeIt) {
  UseOwnSensor();
  Monitor({AllowAll()});
  EXPECT_TRUE(absl::IsNotFound(sensor_->RegisterCanary(0x3fffffff)));
}

}  // namespace
}  // namespace postern::testing
