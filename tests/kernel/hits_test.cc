// SPDX-License-Identifier: Apache-2.0
// What each rule decided is counted, and what the kernel holds can be read back.
#include <bpf/bpf.h>

#include "absl/strings/str_cat.h"
#include "bpf/abi/policy.h"
#include "bpf/abi/state.h"
#include "common/unique_fd.h"
#include "tests/kernel/kernel_test.h"

namespace postern::testing {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class HitsTest : public KernelTest {
 protected:
  HitsTest() : KernelTest(SensorOf::kSuite) {}

  sensor::HeldPolicy Held() {
    auto held = sensor_->ReadPolicy(compiled_);
    EXPECT_TRUE(held.ok()) << held.status();
    return held.ok() ? *std::move(held) : sensor::HeldPolicy();
  }

  static policy::Rule Deny(const std::string& name, uint32_t uid) {
    policy::Rule rule;
    rule.name = name;
    rule.users = {{.text = absl::StrCat(uid), .id = uid}};
    rule.action = POSTERN_ACTION_DENY;
    return rule;
  }

  UniqueFd Pinned(const std::string& map) {
    UniqueFd fd(
        bpf_obj_get(absl::StrCat(bpffs(), "/v", POSTERN_ABI_VERSION, "/maps/", map).c_str()));
    EXPECT_TRUE(fd.valid()) << map;
    return fd;
  }
};

TEST_F(HitsTest, EveryAttemptCountsForTheRuleThatDecided) {
  Enforce({Deny("web", kWwwData), Allow(kMailer, Attack("connect"))});
  // Coalesced ones too: most of these have no record of their own.
  RunToEnd(ConnectLine({"--uid=33", "--quiet", "--deadline=250", "--count=20000"}));
  Connect({"--uid=105", "--count=3"});
  Connect({"--uid=65534", "--count=2"});
  const sensor::HeldPolicy held = Held();
  EXPECT_EQ(held.hits[0], 20000u);
  EXPECT_EQ(held.hits[1], 3u);
  EXPECT_EQ(held.hits[POSTERN_RULES], 2u);
  EXPECT_EQ(Attempts(), 20005u);
}

TEST_F(HitsTest, AttemptsPastALimitCountForItsRule) {
  policy::Rule limited = AllowAll();
  limited.limit = policy::Limit{.count = 2, .per = absl::Hours(24), .text = "2/d"};
  Enforce({limited});
  EXPECT_THAT(Connect({"--uid=33", "--count=5"}),
              ElementsAre("OK", "OK", "EPERM", "EPERM", "EPERM"));
  EXPECT_EQ(Held().hits[0], 5u);
  EXPECT_EQ(Held().hits[POSTERN_RULES], 0u);
}

TEST_F(HitsTest, AGenerationBeginsAtZeroAlsoInASlotThatWasUsedBefore) {
  UseOwnSensor();
  for (int generation = 1; generation <= 2 * POSTERN_POLICY_SLOTS; ++generation) {
    Enforce({AllowAll()});
    EXPECT_THAT(Held().hits, Each(0u)) << generation;
    Connect({"--uid=33", "--count=2"});
    EXPECT_EQ(Held().hits[0], 2u) << generation;
    EXPECT_EQ(Held().header.generation, static_cast<uint32_t>(generation));
  }
}

TEST_F(HitsTest, WhatIsHeldIsWhatWasCompiled) {
  policy::Rule rule = Allow(kMailer, Attack("connect"));
  rule.excluded.users = {{.text = "33", .id = kWwwData}};
  rule.units = {{.path = "/system.slice/", .prefix = true}};
  rule.destination_local = true;
  rule.destinations.resize(1);
  rule.destinations[0].prefix = {.bits = 104,
                                 .address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10}};
  rule.destinations[0].ipv4 = true;
  Enforce({rule, AllowAll()});
  const sensor::HeldPolicy held = Held();
  EXPECT_THAT(held.differences, IsEmpty());
  EXPECT_EQ(held.header.rules, 2u);
  EXPECT_EQ(held.header.enforce, 1u);
  EXPECT_THAT(held.ports, ElementsAre(kWatchedPort));
}

TEST_F(HitsTest, WhatSomebodyWroteIntoTheMapsIsNamed) {
  Enforce({Deny("web", kWwwData)});
  ASSERT_THAT(Held().differences, IsEmpty());
  const uint32_t zero = 0;
  postern_policy_current current = {};
  ASSERT_EQ(bpf_map_lookup_elem(Pinned("policy_current").get(), &zero, &current), 0);
  const UniqueFd headers = Pinned("policy_headers");
  postern_policy_header header = {};
  ASSERT_EQ(bpf_map_lookup_elem(headers.get(), &current.slot, &header), 0);
  header.action[0] = POSTERN_ACTION_ALLOW;
  ASSERT_EQ(bpf_map_update_elem(headers.get(), &current.slot, &header, BPF_ANY), 0);
  EXPECT_THAT(Connect({"--uid=33"}), ElementsAre("OK"));
  EXPECT_THAT(Held().differences, ElementsAre(HasSubstr("header of the policy")));

  const UniqueFd outer = Pinned("policy_index");
  uint32_t id = 0;
  ASSERT_EQ(bpf_map_lookup_elem(outer.get(), &current.slot, &id), 0);
  const UniqueFd index(bpf_map_get_fd_by_id(id));
  const postern_policy_key key = {
      .dimension = POSTERN_DIMENSION_USER, .value = kWwwData, .path = {}};
  ASSERT_EQ(bpf_map_delete_elem(index.get(), &key), 0);
  EXPECT_THAT(Held().differences, Contains(HasSubstr("policy_index is not what")));

  const UniqueFd ports = Pinned("watched_ports");
  const postern_watched_ports none = {};
  ASSERT_EQ(bpf_map_update_elem(ports.get(), &zero, &none, BPF_ANY), 0);
  EXPECT_THAT(Held().differences, Contains(HasSubstr("watched_ports")));
}

}  // namespace
}  // namespace postern::testing
