// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/kernel_test.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "agent/policy/compiler.h"

namespace postern::testing {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);

}  // namespace

void KernelTest::SetUpTestSuite() {
  ASSERT_EQ(geteuid(), 0u) << "kernel tests want root";
  host();
}

const TestHost& KernelTest::host() {
  // Once a process: it cannot leave the namespace again, and need not.
  static const TestHost* host = new TestHost;
  return *host;
}

void KernelTest::SetUp() {
  options_.bpffs = absl::StrCat("/sys/fs/bpf/postern-kernel-test-", getpid());
  config_.ports = {kWatchedPort};
  char folder[] = "/tmp/postern-kernel-test-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  folder_ = folder;
  // Others shall be able to run what the test puts there.
  std::filesystem::permissions(folder_, std::filesystem::perms(0755));
}

void KernelTest::TearDown() {
  StopSensor();
  const absl::Status down = sensor::Sensor::TakeDown(options_);
  EXPECT_TRUE(down.ok()) << down;
  std::filesystem::remove_all(folder_);
}

void KernelTest::StartSensor() {
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
  const int64_t offset = sensor::BootToWallOffsetNs();
  for (const sensor::Ring ring : {sensor::Ring::kDenied, sensor::Ring::kOther}) {
    sensor_->Read(ring, SIZE_MAX, [&](absl::Span<const std::byte> bytes) {
      auto decoded = sensor::Decode(bytes, offset);
      ASSERT_TRUE(decoded.ok()) << decoded.status();
      const auto& rules = config_.rules;
      decoded->event.set_rule(decoded->rule < rules.size() ? rules[decoded->rule].name : "default");
      if (decoded->event.port() == kWatchedPort) events_.push_back(std::move(decoded->event));
    });
    sensor_->Release(ring);
  }
  return events_;
}

const Events& KernelTest::ReadEventsUntil(const std::function<bool(const Events&)>& done) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!done(ReadEvents())) {
    if (std::chrono::steady_clock::now() > deadline) {
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
  return (*counters)[counter];
}

}  // namespace postern::testing
