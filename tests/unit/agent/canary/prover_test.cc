// SPDX-License-Identifier: Apache-2.0
#include "agent/canary/prover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <utility>

#include "agent/sensor/decoder.h"
#include "tests/unit/agent/fakes/fake_canary.h"
#include "tests/unit/agent/fakes/fake_sensor.h"

namespace postern::canary {
namespace {

using testing::HasSubstr;

// What one child does in place of what it should.
class OddChild final : public Child {
 public:
  explicit OddChild(absl::StatusOr<std::optional<Report>> answer, bool* ended = nullptr)
      : answer_(std::move(answer)), ended_(ended) {}
  ~OddChild() override {
    if (ended_ != nullptr) *ended_ = true;
  }
  pid_t pid() const override { return 6000; }
  void Go() override {}
  absl::StatusOr<std::optional<Report>> Poll() override { return answer_; }

 private:
  const absl::StatusOr<std::optional<Report>> answer_;
  bool* const ended_;
};

class ProverTest : public testing::Test {
 protected:
  ProverTest() {
    Publish(EPERM);
    kernel_.Attach();
    make_ = FakeCanaries(&kernel_);
    prover_ = std::make_unique<Prover>(
        sensor_, [this](uint16_t port) { return make_(port); },
        [this](v1::Event event) { recorded_.push_back(std::move(event)); },
        [this] { return now_; });
  }

  void Publish(int deny_errno) {
    policy::CompiledPolicy compiled;
    compiled.header.deny_errno = static_cast<__u32>(deny_errno);
    ASSERT_TRUE(sensor_.Publish(compiled).ok());
    policy_.deny_errno = deny_errno;
    policy_.generation = sensor_.generation();
  }

  // As the agent does: the rings first.
  void Turn() {
    sensor_.Read(sensor::Ring::kDenied, 1024, [this](absl::Span<const std::byte> bytes) {
      auto record = sensor::Decode(bytes, 0);
      ASSERT_TRUE(record.ok()) << record.status();
      prover_->Committed(record->event);
    });
    prover_->Turn(policy_);
  }
  void Turns(int turns) {
    for (int i = 0; i < turns; ++i) Turn();
  }
  // As many as it takes.
  void Prove() { Turns(4); }

  void MakeOdd(absl::StatusOr<std::optional<Report>> answer) {
    make_ = [this, answer](uint16_t) -> absl::StatusOr<std::unique_ptr<Child>> {
      return std::make_unique<OddChild>(answer, &ended_);
    };
  }

  FakeKernel kernel_;
  FakeSensor sensor_{&kernel_};
  Prover::Policy policy_ = {.port = 25};
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  MakeChild make_;
  bool ended_ = false;  // the odd child
  std::vector<v1::Event> recorded_;
  std::unique_ptr<Prover> prover_;
};

TEST_F(ProverTest, ADenialAndItsRecordAreProof) {
  EXPECT_FALSE(prover_->proven().has_value());
  Prove();
  EXPECT_EQ(prover_->proven(), now_);
  EXPECT_EQ(prover_->problem(), "");
  EXPECT_TRUE(recorded_.empty());
  EXPECT_EQ(kernel_.canaries(), 1u);
}

TEST_F(ProverTest, ItIsProvenAnewEachMinute) {
  Prove();
  now_ += absl::Seconds(59);
  Prove();
  EXPECT_EQ(kernel_.canaries(), 1u);
  now_ += absl::Seconds(1);
  Prove();
  EXPECT_EQ(kernel_.canaries(), 2u);
  EXPECT_EQ(prover_->proven(), now_);
}

TEST_F(ProverTest, AClockThatWasSetBackDoesNotPutItOff) {
  Prove();
  now_ -= absl::Minutes(30);
  Prove();
  EXPECT_EQ(kernel_.canaries(), 2u);
}

TEST_F(ProverTest, ANewGenerationIsProvenAtOnce) {
  Prove();
  Publish(ECONNREFUSED);
  policy_.port = 587;
  Prove();
  EXPECT_EQ(kernel_.canaries(), 2u);
  EXPECT_EQ(prover_->problem(), "");
}

TEST_F(ProverTest, WhatAnEarlierGenerationJudgedProvesNothing) {
  Turn();  // it connected
  Publish(ECONNREFUSED);
  Turn();
  EXPECT_FALSE(prover_->proven().has_value());
  Prove();
  EXPECT_TRUE(prover_->proven().has_value());
  EXPECT_EQ(prover_->problem(), "");
}

TEST_F(ProverTest, WhereTheKernelCannotSayOtherwiseEpermIsADenial) {
  Publish(EHOSTUNREACH);
  Report report;
  report.result = {EPERM, Report::kNoSuchWay};
  MakeOdd(report);
  Turns(2);
  v1::Event record;
  record.set_kind(v1::Event::CANARY);
  record.set_verdict(v1::Event::DENIED);
  record.set_pid(6000);
  record.set_generation(policy_.generation);
  record.set_destination(kWays[0].address);
  prover_->Committed(record);
  Turn();
  EXPECT_TRUE(prover_->proven().has_value());
}

TEST_F(ProverTest, AConnectThatPassesUnrecordedIsAProblemAndAnEvent) {
  kernel_.Detach();
  Prove();
  EXPECT_EQ(prover_->problem(), "") << "a record may still come";
  now_ += absl::Seconds(2);
  Turn();
  EXPECT_THAT(prover_->problem(), HasSubstr("127.99.97.110:25 (connect4) passed, and no record"));
  ASSERT_EQ(recorded_.size(), 1u);
  EXPECT_EQ(recorded_[0].kind(), v1::Event::CANARY);
  EXPECT_EQ(recorded_[0].verdict(), v1::Event::ALLOWED);
  EXPECT_EQ(recorded_[0].message(), prover_->problem());
  EXPECT_EQ(recorded_[0].generation(), 1u);
  EXPECT_FALSE(prover_->proven().has_value());
}

TEST_F(ProverTest, AForeignProgramThatLetsPassIsToldApart) {
  kernel_.LetPass(true);
  Prove();
  EXPECT_THAT(prover_->problem(), HasSubstr("passed, though Postern denied it"));
  ASSERT_EQ(recorded_.size(), 1u);
  EXPECT_EQ(recorded_[0].verdict(), v1::Event::ALLOWED);
}

TEST_F(ProverTest, ADenialThatIsNotRecordedIsAProblem) {
  kernel_.LoseCanaries(true);
  Prove();
  now_ += Prover::kPatience;
  Turn();
  EXPECT_EQ(prover_->problem(), "");
  now_ += absl::Milliseconds(1);
  Turn();
  EXPECT_THAT(prover_->problem(), HasSubstr("was denied, but no record of it came within 20s"));
  ASSERT_EQ(recorded_.size(), 1u);
  EXPECT_EQ(recorded_[0].verdict(), v1::Event::VERDICT_UNSPECIFIED);
}

TEST_F(ProverTest, TheNextSuccessHealsAndComesSoon) {
  kernel_.LetPass(true);
  Prove();
  for (int i = 0; i < 3; ++i) {
    now_ += Prover::kEveryWhileFailing;
    Prove();
  }
  EXPECT_EQ(kernel_.canaries(), 4u);
  EXPECT_EQ(recorded_.size(), 1u) << "once as long as it lasts";
  kernel_.LetPass(false);
  now_ += Prover::kEveryWhileFailing;
  Prove();
  EXPECT_EQ(prover_->problem(), "");
  EXPECT_EQ(prover_->proven(), now_);
  kernel_.LetPass(true);
  now_ += Prover::kEvery;
  Prove();
  EXPECT_EQ(recorded_.size(), 2u) << "it began anew";
}

TEST_F(ProverTest, AChildThatHangsIsEndedAndCountsAsFailure) {
  MakeOdd(std::optional<Report>());
  Prove();
  now_ += Prover::kPatience;
  Turn();
  EXPECT_FALSE(ended_);
  now_ += absl::Seconds(1);
  Turn();
  EXPECT_TRUE(ended_);
  EXPECT_THAT(prover_->problem(), HasSubstr("did not report within 20s"));
}

TEST_F(ProverTest, AChildThatWasKilledCountsAsFailure) {
  MakeOdd(absl::UnavailableError("somebody ended it"));
  Prove();
  EXPECT_THAT(prover_->problem(), HasSubstr("could not be made"));
  EXPECT_THAT(prover_->problem(), HasSubstr("somebody ended it"));
}

TEST_F(ProverTest, AChildThatMayNotBecomeNobodySaysSo) {
  Report report;
  report.failed = Report::Failed::kUser;
  report.error = EPERM;
  MakeOdd(report);
  Prove();
  EXPECT_THAT(prover_->problem(),
              HasSubstr("becoming nobody (setresuid): Operation not permitted"));
}

TEST_F(ProverTest, AForkThatFailsAndATableThatDoesNotKnowTheChildAreProblems) {
  make_ = [](uint16_t) -> absl::StatusOr<std::unique_ptr<Child>> {
    return absl::ResourceExhaustedError("fork: Resource temporarily unavailable");
  };
  Prove();
  EXPECT_THAT(prover_->problem(), HasSubstr("fork: Resource temporarily unavailable"));
  make_ = FakeCanaries(&kernel_);
  kernel_.register_error = absl::NotFoundError("no such key");
  now_ += Prover::kEveryWhileFailing;
  Prove();
  EXPECT_THAT(prover_->problem(), HasSubstr("not in the kernel's table of processes"));
}

TEST_F(ProverTest, AnErrnoThatIsNotThePolicysIsNoProof) {
  Report report;
  report.result = {ENETUNREACH, Report::kNoSuchWay};
  MakeOdd(report);
  Prove();
  now_ += absl::Seconds(2);
  Turn();
  EXPECT_THAT(prover_->problem(), HasSubstr("ended by \"Network is unreachable\""));
}

TEST_F(ProverTest, OnlyItsOwnRecordsOfThisGenerationAreProof) {
  Report report;
  report.result = {EPERM, EPERM};
  MakeOdd(report);
  Turns(2);
  v1::Event own;
  own.set_kind(v1::Event::CANARY);
  own.set_verdict(v1::Event::DENIED);
  own.set_generation(policy_.generation);
  own.set_pid(6000);
  for (const Way& way : kWays) {
    own.set_destination(way.address);
    v1::Event other = own;
    other.set_pid(5999);
    prover_->Committed(other);
    other = own;
    other.set_kind(v1::Event::CONNECT);
    prover_->Committed(other);
    other = own;
    other.set_generation(policy_.generation + 1);
    prover_->Committed(other);
  }
  Turn();
  EXPECT_FALSE(prover_->proven().has_value());
  for (const Way& way : kWays) {
    own.set_destination(way.address);
    prover_->Committed(own);
    Turn();
    EXPECT_EQ(prover_->proven().has_value(), way.mapped) << "both are needed";
  }
}

TEST_F(ProverTest, ItsEndForgetsTheCanary) {
  MakeOdd(std::optional<Report>());
  Turns(2);
  prover_.reset();
  EXPECT_TRUE(ended_);
  EXPECT_EQ(kernel_.ConnectAsCanary(6000, "127.99.97.110", 25), EINPROGRESS);
}

}  // namespace
}  // namespace postern::canary
