// SPDX-License-Identifier: Apache-2.0
#include "server/store/group_sums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::server {
namespace {

using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Much less than a thousand groups take.
constexpr size_t kLittle = 8'000;

GroupNumbers Ipv4(uint32_t number) {
  GroupNumbers numbers;
  numbers.has_ipv4 = true;
  numbers.ipv4 = number;
  return numbers;
}

// Walks as often as it is asked for: group i of `groups` has i + 1 attempts, in two
// rows that lie apart. Texts are "group i", destinations 10.0.0.0 and i.
GroupPage WalkThrough(GroupSums& sums, int groups) {
  const bool texts = !IsNumber(sums.fields().front());
  const auto add = [&](int i, const Sums& row) {
    if (texts) {
      sums.Add({}, {"group " + std::to_string(i)}, row);
    } else {
      sums.Add(Ipv4((10u << 24) + static_cast<uint32_t>(i)), {}, row);
    }
  };
  while (sums.NextPass()) {
    for (int i = 0; i < groups; ++i) add(i, {i, 1'000 + i, 1'000 + i});
    for (int i = 0; i < groups; ++i) add(i, {1, 1, 2'000 + i});
  }
  return sums.Take();
}

TEST(GroupSums, SumsUpAndAnswersWithTheLargestFirst) {
  GroupSums sums({GroupField::kUser, GroupField::kExe}, 10);
  ASSERT_TRUE(sums.NextPass());
  sums.Add({}, {"a", ""}, {1, 5, 6});
  sums.Add({}, {"", "a"}, {2, 5, 6});
  sums.Add({}, {"a", ""}, {3, 2, 5});
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

TEST(GroupSums, ValuesStandInTheFieldsOrder) {
  const auto values = [](GroupNumbers numbers) {
    GroupSums sums({GroupField::kPort, GroupField::kHost, GroupField::kDestination,
                    GroupField::kVerdict, GroupField::kExe},
                   10);
    EXPECT_TRUE(sums.NextPass());
    sums.Add(numbers, {"web1", std::string("/a\0b", 4)}, {1, 1, 1});
    EXPECT_FALSE(sums.NextPass());
    const GroupPage page = sums.Take();
    EXPECT_THAT(page.groups, SizeIs(1));
    return std::vector<std::string>(page.groups[0].values().begin(), page.groups[0].values().end());
  };
  const std::string exe("/a\0b", 4);
  GroupNumbers numbers = Ipv4(0xc0000219);
  numbers.port = 25;
  numbers.verdict = v1::Event::DENIED;
  EXPECT_THAT(values(numbers), ElementsAre("25", "web1", "192.0.2.25", "denied", exe));
  EXPECT_THAT(values({}), ElementsAre("", "web1", "", "", exe));
  numbers = {};
  numbers.has_ipv6 = true;
  numbers.ipv6[0] = 0x20;
  numbers.ipv6[15] = 1;
  numbers.port = 1 << 20;
  EXPECT_THAT(values(numbers), ElementsAre("1048576", "web1", "2000::1", "", exe));
}

TEST(GroupSums, NumbersAloneReadAsTheyDoBesideTexts) {
  GroupNumbers all = Ipv4(0xffffffff);
  all.port = 65'535;
  all.verdict = v1::Event::Verdict_MAX;
  GroupNumbers large_port = Ipv4(0);
  large_port.port = 65'536;
  GroupNumbers ipv6;
  ipv6.has_ipv6 = true;
  for (const GroupNumbers& numbers : {GroupNumbers(), all, Ipv4(0), large_port, ipv6}) {
    std::vector<GroupField> fields = {GroupField::kDestination, GroupField::kVerdict,
                                      GroupField::kPort};
    GroupSums alone(fields, 10);
    fields.push_back(GroupField::kHost);
    GroupSums beside(fields, 10);
    ASSERT_TRUE(alone.NextPass() && beside.NextPass());
    alone.Add(numbers, {}, {1, 1, 1});
    beside.Add(numbers, {"web1"}, {1, 1, 1});
    ASSERT_FALSE(alone.NextPass() || beside.NextPass());
    v1::Group expected = alone.Take().groups.at(0);
    expected.add_values("web1");
    EXPECT_EQ(beside.Take().groups.at(0).SerializeAsString(), expected.SerializeAsString());
  }
}

TEST(GroupSums, OneWalkIsEnoughForWhatMemoryHolds) {
  GroupSums sums({GroupField::kDestination}, 10);
  WalkThrough(sums, 1'000);
  EXPECT_EQ(sums.passes(), 1);
}

TEST(GroupSums, MoreThanMemoryHoldsAreCountedInSeveralPasses) {
  for (const GroupField field : {GroupField::kExe, GroupField::kDestination}) {
    GroupSums sums({field}, 3, kLittle);
    const GroupPage page = WalkThrough(sums, 1'000);
    EXPECT_THAT(sums.passes(), Gt(3));
    EXPECT_TRUE(page.truncated);
    ASSERT_THAT(page.groups, SizeIs(3));
    for (int i = 0; i < 3; ++i) {
      const v1::Group& group = page.groups[static_cast<size_t>(i)];
      const int number = 999 - i;
      EXPECT_EQ(group.values(0), field == GroupField::kExe
                                     ? "group " + std::to_string(number)
                                     : "10.0.3." + std::to_string(number - 3 * 256));
      EXPECT_EQ(group.count(), static_cast<uint64_t>(number + 1));
      EXPECT_EQ(group.first_ns(), 1u);
      EXPECT_EQ(group.last_ns(), static_cast<uint64_t>(2'000 + number));
    }
  }
}

TEST(GroupSums, AllOfManyAreThereOnce) {
  for (const GroupField field : {GroupField::kExe, GroupField::kDestination}) {
    GroupSums sums({field}, 1'000, kLittle);
    const GroupPage page = WalkThrough(sums, 1'000);
    EXPECT_THAT(sums.passes(), Gt(3));
    EXPECT_FALSE(page.truncated);
    ASSERT_THAT(page.groups, SizeIs(1'000));
    for (size_t i = 0; i < 1'000; ++i) EXPECT_EQ(page.groups[i].count(), 1'000 - i);
  }
}

TEST(GroupSums, WhatFitsNowhereStillEnds) {
  GroupSums sums({GroupField::kExe}, 1'000, /*max_bytes=*/0);
  EXPECT_THAT(WalkThrough(sums, 50).groups, SizeIs(50));
}

TEST(GroupSums, NothingIsNoGroup) {
  GroupSums sums({GroupField::kExe}, 10);
  EXPECT_THAT(WalkThrough(sums, 0).groups, IsEmpty());
}

}  // namespace
}  // namespace postern::server
