// SPDX-License-Identifier: Apache-2.0
#include "server/trust/peers.h"

#include <gtest/gtest.h>

namespace postern::server {
namespace {

TEST(PeersTest, WhoIsNotKnownIsNobody) {
  Peers peers;
  EXPECT_EQ(peers.Find("fd:7"), nullptr);
  EXPECT_EQ(peers.Find("unix:"), nullptr);
  EXPECT_EQ(peers.Find(""), nullptr);
}

TEST(PeersTest, NumberThatIsUsedAgainIsTheLatersAlone) {
  Peers peers;
  const auto first = std::make_shared<const Bearer>();
  const auto second = std::make_shared<const Bearer>();
  peers.Add(7, first);
  EXPECT_EQ(peers.Find("fd:7"), first);
  peers.Add(7, second);
  peers.Remove(7, first);
  EXPECT_EQ(peers.Find("fd:7"), second);
  peers.Remove(7, second);
  EXPECT_EQ(peers.Find("fd:7"), nullptr);
}

}  // namespace
}  // namespace postern::server
