// SPDX-License-Identifier: Apache-2.0
#include "server/query/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace postern::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Refusal(const v1::Filter& filter) {
  const absl::StatusOr<EventFilter> checked = FilterOf(filter);
  if (checked.ok()) return "";
  EXPECT_TRUE(absl::IsInvalidArgument(checked.status()));
  EXPECT_THAT(std::string(checked.status().message()), Not(HasSubstr("\n")));
  return std::string(checked.status().message());
}

TEST(Filter, StarAtTheEndIsAPrefix) {
  v1::Filter filter;
  filter.add_exes("/usr/*");
  filter.add_exes("/a*b");
  const absl::StatusOr<EventFilter> checked = FilterOf(filter);
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->exes[0].text, "/usr/");
  EXPECT_TRUE(checked->exes[0].prefix);
  EXPECT_EQ(checked->exes[1].text, "/a*b");
  EXPECT_FALSE(checked->exes[1].prefix);
}

TEST(Filter, HostNamedTwiceIsOne) {
  v1::Filter filter;
  filter.add_hosts("b");
  filter.add_hosts("a");
  filter.add_hosts("b");
  EXPECT_THAT(FilterOf(filter)->hosts, ElementsAre("a", "b"));
}

TEST(Filter, WhatCannotBeAskedIsRefusedInOneLine) {
  v1::Filter filter;
  filter.add_destinations("10.0.0.0/40\n");
  EXPECT_THAT(Refusal(filter), AllOf(HasSubstr("10.0.0.0/40"), HasSubstr("CIDR")));
  filter.Clear();
  filter.add_ports(70000);
  EXPECT_THAT(Refusal(filter), HasSubstr("70000"));
  filter.Clear();
  filter.add_verdicts(static_cast<v1::Event::Verdict>(77));
  EXPECT_THAT(Refusal(filter), HasSubstr("77"));
  filter.Clear();
  filter.set_since_ns(2);
  filter.set_until_ns(2);
  EXPECT_THAT(Refusal(filter), HasSubstr("'since'"));
  filter.Clear();
  for (int i = 0; i <= kMaxFilterValues; ++i) filter.add_users("u");
  EXPECT_THAT(Refusal(filter), HasSubstr("at most"));
}

TEST(Filter, TimesPastWhatTheStoreCountsAreItsLast) {
  v1::Filter filter;
  filter.set_until_ns(~uint64_t{0});
  EXPECT_EQ(FilterOf(filter)->window.until, std::numeric_limits<int64_t>::max());
}

TEST(GroupFields, NamesAreThoseOfJson) {
  v1::GroupRequest request;
  for (const char* name : {"host", "user", "uid", "exe", "script", "destination", "port", "verdict",
                           "rule", "unit", "container", "comm"}) {
    request.add_fields(name);
  }
  ASSERT_TRUE(GroupFieldsOf(request).ok());
  EXPECT_EQ(GroupFieldsOf(request)->size(), 12u);
}

TEST(GroupFields, UnknownDoubledAndMissingNamesAreRefused) {
  v1::GroupRequest request;
  EXPECT_TRUE(absl::IsInvalidArgument(GroupFieldsOf(request).status()));
  request.add_fields("pid");
  EXPECT_THAT(std::string(GroupFieldsOf(request).status().message()),
              AllOf(HasSubstr("'pid'"), HasSubstr("destination")));
  request.clear_fields();
  request.add_fields("host");
  request.add_fields("host");
  EXPECT_TRUE(absl::IsInvalidArgument(GroupFieldsOf(request).status()));
}

}  // namespace
}  // namespace postern::server
