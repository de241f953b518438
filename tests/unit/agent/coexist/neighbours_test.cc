// SPDX-License-Identifier: Apache-2.0
#include "agent/coexist/neighbours.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "tests/support/eventually.h"

namespace postern::coexist {
namespace {

using support::Eventually;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(NeighboursTest, ALookIsKeptAndANewLineIsLoggedOnce) {
  std::atomic<int> looks = 0;
  testing::internal::CaptureStderr();
  {
    Neighbours neighbours([&](const Subject& subject, const std::atomic<bool>&) {
      ++looks;
      return std::vector<std::string>{*subject.ports.begin() == 25 ? "on 25" : "on another"};
    });
    EXPECT_THAT(neighbours.Notes(), IsEmpty());
    neighbours.Look({.ports = {25}, .own_paths = {}, .root = ""});
    EXPECT_TRUE(Eventually([&] { return !neighbours.Notes().empty(); }));
    EXPECT_THAT(neighbours.Notes(), ElementsAre("on 25"));
    // What is known is young.
    for (int i = 0; i < 100; ++i) neighbours.Refresh();
    neighbours.Look({.ports = {25}, .own_paths = {}, .root = ""});
    EXPECT_TRUE(Eventually([&] { return looks == 2; }));
    neighbours.Look({.ports = {587}, .own_paths = {}, .root = ""});
    EXPECT_TRUE(Eventually([&] { return neighbours.Notes()[0] == "on another"; }));
    EXPECT_EQ(looks, 3);
  }
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("on 25"));
  EXPECT_THAT(log.substr(log.find("on 25") + 1), Not(HasSubstr("on 25")));
  EXPECT_THAT(log, HasSubstr("on another"));
}

TEST(NeighboursTest, ALookThatHangsDoesNotHoldUpAnybody) {
  std::atomic<bool> looking = false;
  Neighbours neighbours([&](const Subject&, const std::atomic<bool>& stop) {
    looking = true;
    while (!stop) absl::SleepFor(absl::Milliseconds(1));
    return std::vector<std::string>{"too late"};
  });
  neighbours.Look({});
  EXPECT_TRUE(Eventually([&] { return looking.load(); }));
  neighbours.Refresh();
  neighbours.Look({});
  EXPECT_THAT(neighbours.Notes(), IsEmpty());
}

}  // namespace
}  // namespace postern::coexist
