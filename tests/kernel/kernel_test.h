// SPDX-License-Identifier: Apache-2.0
// The real programs in the real kernel, on pins and a port of the test's own.
#ifndef POSTERN_TESTS_KERNEL_KERNEL_TEST_H_
#define POSTERN_TESTS_KERNEL_KERNEL_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/policy/config.h"
#include "agent/sensor/decoder.h"
#include "agent/sensor/sensor.h"
#include "tests/kernel/command.h"
#include "tests/kernel/test_host.h"

namespace postern::testing {

// Users that every Debian has, by number, so that a bare initramfs will do.
constexpr uint32_t kWwwData = 33;
constexpr uint32_t kNobody = 65534;
constexpr uint32_t kMailer = 105;

using Events = std::vector<v1::Event>;

// Each test has a sensor of its own, or one from the test of its suite before it: to
// load the programs is most of a test's time on an emulated machine.
enum class SensorOf { kTest, kSuite };

class KernelTest : public ::testing::Test {
 protected:
  explicit KernelTest(SensorOf sensor_of = SensorOf::kTest) : sensor_of_(sensor_of) {}

  static void SetUpTestSuite();
  static void TearDownTestSuite() { EndSuitesSensor(); }
  void SetUp() override;
  void TearDown() override;

  static const TestHost& host();

  // Attaches trackers; nothing is judged yet, unless it is the suite's: that one goes on
  // with the policy of the test before.
  // Ends the whole run where it fails: no other test could do better.
  void StartSensor();
  void StopSensor() { sensor_.reset(); }
  // From here on this test is one with a sensor of its own.
  void UseOwnSensor();

  // Builds and publishes the policy, and attaches connect.
  void Enforce(std::vector<policy::Rule> rules) { Publish(policy::Mode::kEnforce, rules); }
  void Monitor(std::vector<policy::Rule> rules) { Publish(policy::Mode::kMonitor, rules); }

  // `user` may run `exe`. More is added by the test.
  static policy::Rule Allow(uint32_t user, const std::string& exe);
  static policy::Rule AllowAll();

  // The attack program `connect` with `options`, to the watched port of the
  // internet over IPv4; what each attempt came to, in order.
  std::vector<std::string> Connect(std::vector<std::string> options);
  // The command line for it.
  static std::vector<std::string> ConnectLine(std::vector<std::string> options,
                                              const std::string& to = kInternet4);

  // All events so far that are about the watched port, or a raw socket of the test's
  // network namespace.
  const Events& ReadEvents();
  // Reads until `done` says so of all events so far; fails where it takes too long.
  const Events& ReadEventsUntil(const std::function<bool(const Events&)>& done);
  // Attempts that the events so far stand for.
  uint64_t Attempts();
  // Waits for the event of the attempt that `report` tells of.
  v1::Event EventOf(const Report& report);
  // Since the test began.
  uint64_t Counter(uint32_t counter);

  const std::string& bpffs() const { return options_.bpffs; }

  sensor::Options options_;
  policy::Config config_;
  policy::CompiledPolicy compiled_;  // the one that was published last
  std::unique_ptr<sensor::Sensor> sensor_;
  std::string folder_;  // of the test's own, root's, gone afterwards

 private:
  static void EndSuitesSensor();
  void Publish(policy::Mode mode, const std::vector<policy::Rule>& rules);

  SensorOf sensor_of_;
  std::array<uint64_t, POSTERN_COUNTERS> counters_before_ = {};
  Events events_;
};

}  // namespace postern::testing

#endif  // POSTERN_TESTS_KERNEL_KERNEL_TEST_H_
