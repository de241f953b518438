// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_TESTS_UNIT_AGENT_PUMP_FIXTURE_H_
#define POSTERN_TESTS_UNIT_AGENT_PUMP_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/pump/pump.h"
#include "agent/spool/format.h"
#include "common/boot_clock.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/agent/fakes/fake_sensor.h"

namespace postern::pump {

// An agent's inner part over a kernel that outlives it.
class PumpTest : public testing::Test {
 protected:
  PumpTest() { Start(); }

  // Also after a Kill(): as a new process would.
  void Start() {
    sensor_ = std::make_unique<FakeSensor>(&kernel_);
    spool::Options options;
    options.folder = folder_.path();
    options.boot = boot_;
    options.max_pages = max_pages_;
    auto spool = spool::Spool::Open(options);
    ASSERT_TRUE(spool.ok()) << spool.status();
    spool_ = *std::move(spool);
    enricher_ = std::make_unique<enrich::Enricher>(
        enrich::HostIdentity{"web1", "a1", boot_},
        [](uint32_t, uint16_t rule) { return absl::StrCat("rule-", rule); }, std::nullopt,
        std::nullopt, enrich::UserNames([](uint32_t uid) { return absl::StrCat("u", uid); }));
    pump_ = std::make_unique<Pump>(
        *sensor_, *spool_, *enricher_, [this](const v1::Event& event) { seen_.push_back(event); },
        [this] { return absl::Now() + ahead_ + later_; },
        [this] { return BootToWallOffsetNs() + absl::ToInt64Nanoseconds(ahead_); });
    const absl::Status begun = pump_->Begin(sensor::ConnectsAreJudged(sensor_->Hooks()));
    ASSERT_TRUE(begun.ok()) << begun;
  }

  // Nothing of the process is left; the kernel and the disk are.
  void Kill() {
    pump_.reset();
    enricher_.reset();
    spool_.reset();
    sensor_.reset();
  }

  // With all that says that there was one.
  void RemoveSpool() {
    ASSERT_TRUE(std::filesystem::remove(folder_ / spool::kFileName));
    std::filesystem::remove(folder_ / spool::kDeliveredFileName);
    std::filesystem::remove(folder_ / spool::kReserveFileName);
  }

  void Turn() {
    bool more = true;
    while (more) {
      const auto turn = pump_->Turn();
      ASSERT_TRUE(turn.ok()) << turn.status();
      more = *turn;
    }
  }
  void CountUp() {
    const absl::Status status = pump_->CountUp(sensor::ConnectsAreJudged(sensor_->Hooks()));
    ASSERT_TRUE(status.ok()) << status;
  }

  std::vector<uint64_t> SeenSequences() const {
    std::vector<uint64_t> sequences;
    for (const v1::Event& event : seen_) {
      if (event.kind() == v1::Event::CONNECT) sequences.push_back(event.seq());
    }
    return sequences;
  }
  std::vector<v1::Gap> SeenGaps() const {
    std::vector<v1::Gap> gaps;
    for (const v1::Event& event : seen_) {
      if (event.kind() == v1::Event::GAP) gaps.push_back(event.gap());
    }
    return gaps;
  }

  TemporaryFolder folder_;
  std::string boot_ = "b1";
  absl::Duration ahead_;  // as somebody set the clock
  absl::Duration later_;  // that has passed besides
  int64_t max_pages_ = 0;
  FakeKernel kernel_;
  std::vector<v1::Event> seen_;  // committed
  std::unique_ptr<FakeSensor> sensor_;
  std::unique_ptr<spool::Spool> spool_;
  std::unique_ptr<enrich::Enricher> enricher_;
  std::unique_ptr<Pump> pump_;
};

}  // namespace postern::pump

#endif  // POSTERN_TESTS_UNIT_AGENT_PUMP_FIXTURE_H_
