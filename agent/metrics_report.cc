// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics_report.h"

#include <map>
#include <string>
#include <utility>

#include "bpf/abi/counters.h"
#include "bpf/abi/event.h"

namespace postern::agent {

namespace {

using metrics::Family;
using metrics::Flag;
using metrics::Type;
using metrics::Value;

absl::Time At(uint64_t unix_ns) { return absl::FromUnixNanos(static_cast<int64_t>(unix_ns)); }

void AddAgent(const v1::StatusResponse& status, std::vector<Family>& families) {
  families.push_back({"postern_agent_build_info",
                      "1, of the agent of that version.",
                      Type::kGauge,
                      {Flag(true, {{"version", status.version()}})}});
  families.push_back({"postern_agent_start_time_seconds",
                      "When the agent started, Unix time.",
                      Type::kGauge,
                      {Value(At(status.started_ns()))}});
  families.push_back({"postern_agent_healthy",
                      "1 where `postern status` names no problem.",
                      Type::kGauge,
                      {Flag(status.healthy())}});
  families.push_back({"postern_agent_problems",
                      "Problems that `postern status` names.",
                      Type::kGauge,
                      {Value(static_cast<uint64_t>(status.problems_size()))}});
  Family hooks = {"postern_agent_hook_attached",
                  "1 where that hook of the kernel is in place.",
                  Type::kGauge,
                  {}};
  for (const v1::Hook& hook : status.hooks()) {
    hooks.samples.push_back(Flag(hook.attached(), {{"hook", hook.name()}}));
  }
  families.push_back(std::move(hooks));
  Family proven = {"postern_agent_canary_denied_timestamp_seconds",
                   "When a canary last was denied and its record arrived, Unix time.",
                   Type::kGauge,
                   {}};
  if (status.has_proven_ns()) proven.samples.push_back(Value(At(status.proven_ns())));
  families.push_back(std::move(proven));
}

void AddPolicy(const MetricsSources& sources, std::vector<Family>& families) {
  const v1::StatusResponse& status = sources.status;
  families.push_back({"postern_agent_enforcing",
                      "1 where what the policy denies is denied, 0 where it is only recorded.",
                      Type::kGauge,
                      {Flag(status.mode() == "enforce")}});
  families.push_back({"postern_agent_policy_generation",
                      "Generation of the policy in force: one more with each change.",
                      Type::kGauge,
                      {Value(status.generation())}});
  families.push_back({"postern_agent_policy_loaded_timestamp_seconds",
                      "When that policy was put in force, Unix time.",
                      Type::kGauge,
                      {Value(At(status.policy_loaded_ns()))}});
  Family rules = {"postern_agent_rule_attempts_total",
                  "Attempts by the rule that decided, since this generation was put in force; "
                  "`default` stands for those that no rule matched.",
                  Type::kCounter,
                  {}};
  if (sources.policy.has_value()) {
    // Rules may share a name, and samples may not share their labels.
    std::map<std::pair<std::string, std::string>, uint64_t> hits;
    for (const v1::PolicyRule& rule : sources.policy->rules()) {
      hits[{rule.name(), rule.action()}] += rule.hits();
    }
    for (const auto& [rule, count] : hits) {
      rules.samples.push_back(Value(count, {{"rule", rule.first}, {"action", rule.second}}));
    }
    // No rule may have that name.
    rules.samples.push_back(
        Value(sources.policy->default_hits(),
              {{"rule", "default"}, {"action", sources.policy->default_action()}}));
  }
  families.push_back(std::move(rules));
}

void AddCounters(const MetricsSources& sources, std::vector<Family>& families) {
  const auto count = [&](postern_counter counter) { return Value(sources.counters[counter]); };
  const auto of = [&](postern_counter counter, const char* label, const char* value) {
    return Value(sources.counters[counter], {{label, value}});
  };
  constexpr std::pair<postern_verdict, const char*> kVerdicts[] = {
      {POSTERN_VERDICT_ALLOWED, "allowed"},
      {POSTERN_VERDICT_DENIED, "denied"},
      {POSTERN_VERDICT_WOULD_DENY, "would_deny"},
      {POSTERN_VERDICT_REDIRECTED, "redirected"},
      {POSTERN_VERDICT_WOULD_REDIRECT, "would_redirect"},
      {POSTERN_VERDICT_OVER_LIMIT, "over_limit"},
  };
  Family attempts = {"postern_agent_attempts_total",
                     "Attempts that were seen, by verdict, since the kernel's side was set up.",
                     Type::kCounter,
                     {}};
  for (const auto& [verdict, name] : kVerdicts) {
    attempts.samples.push_back(
        Value(sources.counters[POSTERN_COUNTER_VERDICT + static_cast<size_t>(verdict)],
              {{"verdict", name}}));
  }
  families.push_back(std::move(attempts));
  families.push_back({"postern_agent_coalesced_attempts_total",
                      "Attempts that are recorded as repeats of others.",
                      Type::kCounter,
                      {count(POSTERN_COUNTER_COALESCED)}});
  families.push_back({"postern_agent_canaries_total",
                      "Connects of the agent's own canary, which are no attempts.",
                      Type::kCounter,
                      {count(POSTERN_COUNTER_CANARIES)}});
  families.push_back(
      {"postern_agent_lost_events_total",
       "Events that were lost before they were in the spool; each is told of by a gap record.",
       Type::kCounter,
       {of(POSTERN_COUNTER_LOST_DENIED, "kind", "denied_ring_full"),
        of(POSTERN_COUNTER_LOST_OTHER, "kind", "other_ring_full"),
        of(POSTERN_COUNTER_LOST_REPEATS, "kind", "repeats_full"),
        Value(sources.unreadable, {{"kind", "unreadable"}})}});
  families.push_back({"postern_agent_kernel_faults_total",
                      "What the kernel's side could not do, by what it was.",
                      Type::kCounter,
                      {of(POSTERN_COUNTER_NO_POLICY, "fault", "no_policy"),
                       of(POSTERN_COUNTER_UNKNOWN_PROCESS, "fault", "unknown_process"),
                       of(POSTERN_COUNTER_PROCESSES_FULL, "fault", "processes_full"),
                       of(POSTERN_COUNTER_DESCRIPTIONS_FULL, "fault", "descriptions_full"),
                       of(POSTERN_COUNTER_LIMITS_FULL, "fault", "limits_full"),
                       of(POSTERN_COUNTER_REDIRECT_NO_ROOM, "fault", "redirect_without_room"),
                       of(POSTERN_COUNTER_ARGS_UNREADABLE, "fault", "arguments_unreadable"),
                       of(POSTERN_COUNTER_PATH_CUT, "fault", "path_cut")}});
}

void AddSpool(const v1::SpoolState& spool, std::vector<Family>& families) {
  families.push_back({"postern_agent_spool_events",
                      "Events in the spool that the collector has not acknowledged.",
                      Type::kGauge,
                      {Value(spool.events())}});
  families.push_back({"postern_agent_spool_bytes",
                      "Bytes of all events in the spool.",
                      Type::kGauge,
                      {Value(spool.bytes())}});
  families.push_back({"postern_agent_spool_limit_bytes",
                      "Bytes past which the spool evicts (spool.max_bytes).",
                      Type::kGauge,
                      {Value(spool.max_bytes())}});
  families.push_back({"postern_agent_spool_evicted_attempts_total",
                      "Attempts that the spool had no room to keep, since the agent started.",
                      Type::kCounter,
                      {Value(spool.evicted())}});
  Family oldest = {"postern_agent_spool_oldest_event_timestamp_seconds",
                   "Time of the oldest event that the collector has not acknowledged, Unix time; "
                   "absent where there is none.",
                   Type::kGauge,
                   {}};
  if (spool.has_oldest_ns()) oldest.samples.push_back(Value(At(spool.oldest_ns())));
  families.push_back(std::move(oldest));
}

void AddUplink(const MetricsSources& sources, std::vector<Family>& families) {
  const v1::CollectorLink& link = sources.status.collector();
  if (!link.configured()) return;
  families.push_back({"postern_agent_uplink_connected",
                      "1 where the collector has answered.",
                      Type::kGauge,
                      {Flag(link.connected())}});
  Family last = {"postern_agent_uplink_acknowledged_timestamp_seconds",
                 "When the collector last acknowledged events, Unix time.",
                 Type::kGauge,
                 {}};
  if (link.has_last_acknowledged_ns()) {
    last.samples.push_back(Value(At(link.last_acknowledged_ns())));
  }
  families.push_back(std::move(last));
  if (sources.epoch.has_value()) {
    families.push_back({"postern_agent_recorded_events_total",
                        "Events that were put in the spool since the agent started.",
                        Type::kCounter,
                        {Value(sources.epoch->last)}});
    families.push_back({"postern_agent_uplink_acknowledged_events_total",
                        "Those of them that the collector has acknowledged.",
                        Type::kCounter,
                        {Value(sources.epoch->acknowledged)}});
  }
  Family expiry = {"postern_agent_certificate_expiry_timestamp_seconds",
                   "When the host's certificate ends, Unix time.",
                   Type::kGauge,
                   {}};
  if (sources.certificate_expiry.has_value()) {
    expiry.samples.push_back(Value(*sources.certificate_expiry));
  }
  families.push_back(std::move(expiry));
}

}  // namespace

std::vector<Family> ReportMetrics(const MetricsSources& sources) {
  std::vector<Family> families;
  AddAgent(sources.status, families);
  AddPolicy(sources, families);
  AddCounters(sources, families);
  if (sources.status.has_spool()) AddSpool(sources.status.spool(), families);
  AddUplink(sources, families);
  return families;
}

}  // namespace postern::agent
