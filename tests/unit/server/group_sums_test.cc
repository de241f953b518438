// SPDX-License-Identifier: Apache-2.0
#include "server/store/group_sums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/hash/hash.h"

namespace postern::server {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// As often as it is asked for: group i of `groups` has i + 1 attempts.
GroupPage WalkThrough(GroupSums& sums, int groups, bool by_destination) {
  while (sums.NextPass()) {
    for (int i = 0; i < groups; ++i) {
      if (by_destination && !sums.Takes(absl::HashOf(i))) continue;
      if (!sums.Add({"group", std::to_string(i)}, {i + 1, i, i + 10})) break;
    }
  }
  return sums.Take();
}

TEST(GroupSums, SumsUpAndAnswersWithTheLargestFirst) {
  GroupSums sums(10, /*by_destination=*/false);
  ASSERT_TRUE(sums.NextPass());
  EXPECT_TRUE(sums.Add({"a", ""}, {1, 5, 6}));
  EXPECT_TRUE(sums.Add({"", "a"}, {2, 5, 6}));
  EXPECT_TRUE(sums.Add({"a", ""}, {3, 2, 5}));
  EXPECT_FALSE(sums.NextPass());
  const GroupPage page = sums.Take();
  EXPECT_FALSE(page.truncated);
  ASSERT_THAT(page.groups, SizeIs(2));
  EXPECT_THAT(page.groups[0].values(), ElementsAre("a", ""));
  EXPECT_EQ(page.groups[0].count(), 4u);
  EXPECT_EQ(page.groups[0].first_ns(), 2u);
  EXPECT_EQ(page.groups[0].last_ns(), 6u);
  EXPECT_THAT(page.groups[1].values(), ElementsAre("", "a"));
}

TEST(GroupSums, MoreThanMemoryHoldsAreCountedInSeveralPasses) {
  for (const bool by_destination : {false, true}) {
    GroupSums sums(3, by_destination, /*max_in_memory=*/20);
    const GroupPage page = WalkThrough(sums, 1'000, by_destination);
    EXPECT_TRUE(page.truncated);
    ASSERT_THAT(page.groups, SizeIs(3));
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(page.groups[static_cast<size_t>(i)].values(1), std::to_string(999 - i));
      EXPECT_EQ(page.groups[static_cast<size_t>(i)].count(), static_cast<uint64_t>(1'000 - i));
    }
  }
}

TEST(GroupSums, AllOfManyAreThereOnce) {
  GroupSums sums(2'000, /*by_destination=*/false, /*max_in_memory=*/20);
  const GroupPage page = WalkThrough(sums, 1'000, /*by_destination=*/false);
  EXPECT_FALSE(page.truncated);
  ASSERT_THAT(page.groups, SizeIs(1'000));
  for (size_t i = 0; i < 1'000; ++i) EXPECT_EQ(page.groups[i].count(), 1'000 - i);
}

}  // namespace
}  // namespace postern::server
