// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/host_identity.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_folder.h"

namespace postern::enrich {
namespace {

TEST(HostIdentityTest, TheAgentKeepsItsIdAcrossStarts) {
  const TemporaryFolder folder;
  const auto first = IdentifyHost(folder.path(), "web1");
  const auto second = IdentifyHost(folder.path(), "");
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->agent.size(), 32u);
  EXPECT_EQ(first->agent, second->agent);
  EXPECT_EQ(first->host, "web1");
  EXPECT_FALSE(second->host.empty());
  EXPECT_EQ(first->boot.size(), 36u);
}

TEST(HostIdentityTest, AGarbledIdIsMadeAnew) {
  const TemporaryFolder folder;
  std::ofstream(folder / "agent-id") << "zz\n";
  const auto identity = IdentifyHost(folder.path(), "web1");
  ASSERT_TRUE(identity.ok());
  EXPECT_EQ(identity->agent.size(), 32u);
}

TEST(HostIdentityTest, AStateFolderThatIsNotThereIsAnError) {
  EXPECT_FALSE(IdentifyHost("/nonexistent", "web1").ok());
}

}  // namespace
}  // namespace postern::enrich
