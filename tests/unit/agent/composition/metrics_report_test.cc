// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "bpf/abi/event.h"
#include "common/metrics/text.h"

namespace postern::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kSecond = 1'000'000'000;

size_t VerdictCounter(postern_verdict verdict) {
  return POSTERN_COUNTER_VERDICT + static_cast<size_t>(verdict);
}

class MetricsReportTest : public testing::Test {
 protected:
  MetricsReportTest() {
    status_.set_healthy(true);
    status_.set_version("1.2");
    status_.set_host("secret-customer.example.net");
    status_.set_started_ns(1'767'225'600 * kSecond);
    status_.set_mode("monitor");
    status_.set_generation(3);
  }
  std::string Text() const {
    return metrics::ToText(ReportMetrics({.status = status_,
                                          .counters = counters_,
                                          .unreadable = unreadable_,
                                          .policy = policy_,
                                          .epoch = epoch_,
                                          .certificate_expiry = expiry_}));
  }

  v1::StatusResponse status_;
  pump::Counters counters_ = {};
  uint64_t unreadable_ = 0;
  std::optional<v1::ShowPolicyResponse> policy_;
  std::optional<spool::EpochState> epoch_;
  std::optional<absl::Time> expiry_;
};

TEST_F(MetricsReportTest, SaysWhatStatusSays) {
  status_.set_healthy(false);
  status_.add_problems("one");
  status_.add_problems("two");
  status_.set_mode("enforce");
  status_.set_proven_ns(1'767'225'700 * kSecond);
  v1::Hook& hook = *status_.add_hooks();
  hook.set_name("connect4");
  hook.set_attached(true);
  status_.add_hooks()->set_name("socket_create");
  const std::string text = Text();
  for (const char* line : {"postern_agent_build_info{version=\"1.2\"} 1\n",
                           "postern_agent_start_time_seconds 1767225600\n",
                           "postern_agent_healthy 0\n", "postern_agent_problems 2\n",
                           "postern_agent_enforcing 1\n", "postern_agent_policy_generation 3\n",
                           "postern_agent_canary_denied_timestamp_seconds 1767225700\n",
                           "postern_agent_hook_attached{hook=\"connect4\"} 1\n",
                           "postern_agent_hook_attached{hook=\"socket_create\"} 0\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, Not(HasSubstr("secret-customer")));
}

TEST_F(MetricsReportTest, EachCounterOfTheKernelHasItsPlace) {
  counters_[VerdictCounter(POSTERN_VERDICT_ALLOWED)] = 1;
  counters_[VerdictCounter(POSTERN_VERDICT_DENIED)] = 2;
  counters_[VerdictCounter(POSTERN_VERDICT_OVER_LIMIT)] = 3;
  counters_[POSTERN_COUNTER_LOST_DENIED] = 4;
  counters_[POSTERN_COUNTER_LOST_OTHER] = 5;
  counters_[POSTERN_COUNTER_LOST_REPEATS] = 6;
  unreadable_ = 7;
  counters_[POSTERN_COUNTER_COALESCED] = 8;
  counters_[POSTERN_COUNTER_CANARIES] = 9;
  counters_[POSTERN_COUNTER_NO_POLICY] = 10;
  const std::string text = Text();
  for (const char* line :
       {"postern_agent_attempts_total{verdict=\"allowed\"} 1\n",
        "postern_agent_attempts_total{verdict=\"denied\"} 2\n",
        "postern_agent_attempts_total{verdict=\"would_deny\"} 0\n",
        "postern_agent_attempts_total{verdict=\"over_limit\"} 3\n",
        "postern_agent_lost_events_total{kind=\"denied_ring_full\"} 4\n",
        "postern_agent_lost_events_total{kind=\"other_ring_full\"} 5\n",
        "postern_agent_lost_events_total{kind=\"repeats_full\"} 6\n",
        "postern_agent_lost_events_total{kind=\"unreadable\"} 7\n",
        "postern_agent_coalesced_attempts_total 8\n", "postern_agent_canaries_total 9\n",
        "postern_agent_kernel_faults_total{fault=\"no_policy\"} 10\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(MetricsReportTest, RulesAreNamedWithTheirActions) {
  v1::PolicyRule& rule = *policy_.emplace().add_rules();
  rule.set_name("postfix");
  rule.set_action("allow");
  rule.set_hits(11);
  policy_->set_default_action("deny");
  policy_->set_default_hits(12);
  EXPECT_THAT(Text(), HasSubstr("rule=\"postfix\",action=\"allow\"} 11\n"));
  EXPECT_THAT(Text(), HasSubstr("rule=\"default\",action=\"deny\"} 12\n"));
}

// Two samples with the same labels make a whole scrape unreadable.
TEST_F(MetricsReportTest, RulesOfOneNameAreOneSample) {
  policy_.emplace().set_default_action("deny");
  for (const uint64_t hits : {3, 4}) {
    v1::PolicyRule& rule = *policy_->add_rules();
    rule.set_name("shop");
    rule.set_action("allow");
    rule.set_hits(hits);
  }
  EXPECT_THAT(Text(), HasSubstr("rule=\"shop\",action=\"allow\"} 7\n"));
  EXPECT_THAT(Text(), Not(HasSubstr("rule=\"shop\",action=\"allow\"} 4\n")));
}

TEST_F(MetricsReportTest, SpoolAndUplinkAreThereWhereTheyAre) {
  EXPECT_THAT(Text(), Not(HasSubstr("postern_agent_spool")));
  EXPECT_THAT(Text(), Not(HasSubstr("postern_agent_uplink")));
  v1::SpoolState& spool = *status_.mutable_spool();
  spool.set_events(1);
  spool.set_bytes(2);
  spool.set_max_bytes(3);
  spool.set_evicted(4);
  EXPECT_THAT(Text(), Not(HasSubstr("oldest_event"))) << "where there is none";
  spool.set_oldest_ns(5 * kSecond);
  status_.mutable_collector()->set_configured(true);
  status_.mutable_collector()->set_connected(true);
  status_.mutable_collector()->set_last_acknowledged_ns(6 * kSecond);
  epoch_ = spool::EpochState{.epoch = 99, .last = 8, .acknowledged = 7};
  expiry_ = absl::FromUnixSeconds(9);
  const std::string text = Text();
  for (const char* line :
       {"postern_agent_spool_events 1\n", "postern_agent_spool_bytes 2\n",
        "postern_agent_spool_limit_bytes 3\n", "postern_agent_spool_evicted_attempts_total 4\n",
        "postern_agent_spool_oldest_event_timestamp_seconds 5\n",
        "postern_agent_uplink_connected 1\n",
        "postern_agent_uplink_acknowledged_timestamp_seconds 6\n",
        "postern_agent_uplink_acknowledged_events_total 7\n",
        "postern_agent_recorded_events_total 8\n",
        "postern_agent_certificate_expiry_timestamp_seconds 9\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

}  // namespace
}  // namespace postern::agent
