// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/kernel_test.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "agent/policy/compiler.h"
#include "common/boot_clock.h"
#include "common/steady_clock.h"
#include "tests/support/eventually.h"

namespace postern::testing {
namespace {

constexpr char kBpffs[] = "/sys/fs/bpf";
constexpr char kPins[] = "postern-kernel-test-";

std::string PinsOfTests() { return absl::StrCat(kBpffs, "/", kPins, getpid()); }

// Between two tests of a suite.
std::unique_ptr<sensor::Sensor>& SuitesSensor() {
  static auto& sensor = *new std::unique_ptr<sensor::Sensor>;
  return sensor;
}

void TakeDown(const sensor::Options& options) {
  const absl::Status down = sensor::Sensor::TakeDown(options);
  EXPECT_TRUE(down.ok()) << down;
}

// What a run that was killed left pinned goes on judging, all the others' tests too.
void SweepLeftovers() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kBpffs, error)) {
    int owner = 0;
    const std::string folder = entry.path().filename();
    absl::string_view pid = folder;
    // A suffix is of a test that moves its pins.
    if (!absl::ConsumePrefix(&pid, kPins)) continue;
    if (!absl::SimpleAtoi(pid.substr(0, pid.find('-')), &owner)) continue;
    if (kill(owner, 0) == 0 || errno != ESRCH) continue;
    std::filesystem::remove_all(entry.path(), error);
  }
}

// Other programs of this machine make raw sockets as well.
uint64_t NetworkNamespace() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  uint64_t cookie = 0;
  socklen_t bytes = sizeof(cookie);
  const int failed = getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &bytes);
  EXPECT_EQ(failed, 0);
  close(fd);
  return cookie;
}

// `events`: those that are.
bool IsOurs(const sensor::DecodedRecord& record, const Events& events) {
  const v1::Event& event = record.event;
  if (event.port() == kWatchedPort) return true;
  if (event.kind() == v1::Event::CONNECT) return false;
  if (record.is_repeats) {
    return std::any_of(events.begin(), events.end(),
                       [&](const v1::Event& first) { return first.seq() == record.first_seq; });
  }
  static const uint64_t ours = NetworkNamespace();
  return event.network_namespace() == ours;
}

}  // namespace

void KernelTest::SetUpTestSuite() {
  ASSERT_EQ(geteuid(), 0u) << "kernel tests want root";
  SweepLeftovers();
  host();
}

const TestHost& KernelTest::host() {
  // Once a process: it cannot leave the namespace again, and need not.
  static const TestHost* host = new TestHost;
  return *host;
}

void KernelTest::SetUp() {
  options_.bpffs = PinsOfTests();
  config_.ports = {kWatchedPort};
  char folder[] = "/tmp/postern-kernel-test-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  folder_ = folder;
  // Others shall be able to run what the test puts there.
  std::filesystem::permissions(folder_, std::filesystem::perms(0755));
}

void KernelTest::TearDown() {
  if (sensor_of_ == SensorOf::kSuite && !HasFailure()) {
    if (sensor_ != nullptr) SuitesSensor() = std::move(sensor_);
  } else {
    StopSensor();
    SuitesSensor().reset();
    TakeDown(options_);
  }
  std::filesystem::remove_all(folder_);
}

void KernelTest::EndSuitesSensor() {
  if (SuitesSensor() == nullptr) return;
  SuitesSensor().reset();
  sensor::Options options;
  options.bpffs = PinsOfTests();
  TakeDown(options);
}

void KernelTest::UseOwnSensor() {
  EndSuitesSensor();
  sensor_of_ = SensorOf::kTest;
}

void KernelTest::StartSensor() {
  counters_before_ = {};
  if (sensor_of_ == SensorOf::kSuite && SuitesSensor() != nullptr) {
    sensor_ = std::move(SuitesSensor());
    ReadEvents();
    events_.clear();
    const auto counters = sensor_->ReadCounters();
    ASSERT_TRUE(counters.ok()) << counters.status();
    counters_before_ = *counters;
    EXPECT_TRUE(sensor_->SetLocalAddresses({}).ok());
    return;
  }
  auto sensor = sensor::Sensor::Create(options_);
  if (!sensor.ok()) {
    std::cerr << "the sensor does not start: " << sensor.status() << "\n";
    std::_Exit(1);
  }
  sensor_ = *std::move(sensor);
}

void KernelTest::Publish(policy::Mode mode, const std::vector<policy::Rule>& rules) {
  if (sensor_ == nullptr) StartSensor();
  config_.mode = mode;
  config_.rules = rules;
  auto compiled = policy::Compile(
      config_, [this](const std::string& path) { return sensor_->IdentifyBinary(path); });
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  compiled_ = *compiled;
  auto generation = sensor_->Publish(*compiled);
  ASSERT_TRUE(generation.ok()) << generation.status();
  const absl::Status attached = sensor_->AttachConnect();
  ASSERT_TRUE(attached.ok()) << attached;
}

policy::Rule KernelTest::Allow(uint32_t user, const std::string& exe) {
  policy::Rule rule;
  rule.name = "mailer";
  rule.users = {{.text = absl::StrCat(user), .id = user}};
  rule.exes = {{.path = exe}};
  rule.action = POSTERN_ACTION_ALLOW;
  return rule;
}

policy::Rule KernelTest::AllowAll() {
  policy::Rule rule;
  rule.name = "all";
  rule.action = POSTERN_ACTION_ALLOW;
  return rule;
}

std::vector<std::string> KernelTest::ConnectLine(std::vector<std::string> options,
                                                 const std::string& to) {
  std::vector<std::string> line = {Attack("connect")};
  line.insert(line.end(), options.begin(), options.end());
  line.push_back(to);
  line.push_back(absl::StrCat(kWatchedPort));
  return line;
}

std::vector<std::string> KernelTest::Connect(std::vector<std::string> options) {
  std::vector<std::string> results;
  for (const Report& report : RunToEnd(ConnectLine(std::move(options)))) {
    results.push_back(report.at("result"));
  }
  return results;
}

const Events& KernelTest::ReadEvents() {
  EXPECT_TRUE(sensor_->FlushRepeats().ok());
  const int64_t offset = BootToWallOffsetNs();
  for (const sensor::Ring ring : {sensor::Ring::kDenied, sensor::Ring::kOther}) {
    sensor_->Read(ring, SIZE_MAX, [&](absl::Span<const std::byte> bytes) {
      auto decoded = sensor::Decode(bytes, offset);
      ASSERT_TRUE(decoded.ok()) << decoded.status();
      const auto& rules = config_.rules;
      decoded->event.set_rule(decoded->rule < rules.size() ? rules[decoded->rule].name : "default");
      if (IsOurs(*decoded, events_)) events_.push_back(std::move(decoded->event));
    });
    sensor_->Release(ring);
  }
  return events_;
}

const Events& KernelTest::ReadEventsUntil(const std::function<bool(const Events&)>& done) {
  const absl::Time deadline = SteadyNow() + support::kPatience;
  while (!done(ReadEvents())) {
    if (SteadyNow() > deadline) {
      ADD_FAILURE() << "the events waited for did not come; there are " << events_.size();
      break;
    }
    sensor_->Wait(absl::Milliseconds(20));
  }
  return events_;
}

uint64_t KernelTest::Attempts() {
  uint64_t attempts = 0;
  for (const v1::Event& event : ReadEvents()) attempts += 1 + event.repeats();
  return attempts;
}

v1::Event KernelTest::EventOf(const Report& report) {
  v1::Event found;
  ReadEventsUntil([&](const Events& events) {
    for (const v1::Event& event : events) {
      if (absl::StrCat(event.pid()) == report.at("pid") && event.repeats() == 0) {
        found = event;
        return true;
      }
    }
    return false;
  });
  return found;
}

uint64_t KernelTest::Counter(uint32_t counter) {
  auto counters = sensor_->ReadCounters();
  EXPECT_TRUE(counters.ok()) << counters.status();
  return (*counters)[counter] - counters_before_[counter];
}

}  // namespace postern::testing
