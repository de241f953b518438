// SPDX-License-Identifier: Apache-2.0
#include "agent/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class HealthTest : public testing::Test {
 protected:
  // The lines that `act` logs.
  template <typename Act>
  std::string Logged(const Act& act) {
    testing::internal::CaptureStderr();
    act();
    return testing::internal::GetCapturedStderr();
  }

  Health health_;
};

TEST_F(HealthTest, AProblemIsLoggedWhenItBeginsAndWhenItIsOver) {
  EXPECT_THAT(Logged([&] { health_.Set(Concern::kSpool, "the disk is full"); }),
              HasSubstr("the disk is full"));
  EXPECT_EQ(Logged([&] { health_.Set(Concern::kSpool, "the disk is full, still"); }), "");
  EXPECT_THAT(health_.Problems(), ElementsAre("the disk is full, still"));
  EXPECT_THAT(Logged([&] { health_.Set(Concern::kSpool, ""); }), HasSubstr("over"));
  EXPECT_EQ(Logged([&] { health_.Set(Concern::kSpool, ""); }), "");
  EXPECT_THAT(health_.Problems(), IsEmpty());
}

TEST_F(HealthTest, ProblemsStandBesideEachOtherTheConfigurationFirst) {
  health_.Set(Concern::kSockets, "no sockets");
  health_.Set(Concern::kSpool, "the disk is full");
  health_.SetConfigProblems({"agent.yaml is refused", "agent.yaml:3: x"});
  EXPECT_THAT(health_.Problems(), ElementsAre("agent.yaml is refused", "agent.yaml:3: x",
                                              "the disk is full", "no sockets"));
  health_.SetConfigProblems({});
  EXPECT_THAT(health_.Problems(), ElementsAre("the disk is full", "no sockets"));
}

TEST_F(HealthTest, ANoteIsNoProblemAndGoesWhenThereIsNothingToSay) {
  EXPECT_THAT(Logged([&] { health_.Note(Topic::kRestart, "'bpffs' has changed"); }),
              HasSubstr("'bpffs' has changed"));
  EXPECT_THAT(health_.Notes(), ElementsAre("'bpffs' has changed"));
  EXPECT_THAT(health_.Problems(), IsEmpty());
  EXPECT_EQ(Logged([&] { health_.Note(Topic::kRestart, ""); }), "");
  EXPECT_THAT(health_.Notes(), IsEmpty());
}

}  // namespace
}  // namespace postern::agent
