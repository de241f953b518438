// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "agent/policy/rule_names.h"

namespace postern::policy {
namespace {

TEST(RuleNamesThreadsTest, ReadersSeeWholeGenerationsWhileOneIsSet) {
  std::string folder = testing::TempDir() + "/postern-rule-names-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  RuleNames names(folder, "boot");
  ASSERT_TRUE(names.Set(1, {"first", "second"}).ok());
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      do {
        EXPECT_EQ(names.Name(1, 1), "second");
        const std::string later = names.Name(15, 0);
        EXPECT_TRUE(later == "#0" || later == "r15") << later;
      } while (!done);
    });
  }
  for (uint32_t generation = 2; generation <= 20; ++generation) {
    EXPECT_TRUE(names.Set(generation, {"r" + std::to_string(generation)}).ok());
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(names.Name(15, 0), "r15");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace postern::policy
