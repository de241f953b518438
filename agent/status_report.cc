// SPDX-License-Identifier: Apache-2.0
#include "agent/status_report.h"

#include "absl/strings/str_cat.h"
#include "bpf/abi/counters.h"
#include "bpf/abi/event.h"

namespace postern::agent {

namespace {

// One that is not connected is a problem.
void AddCollector(const uplink::Uplink* uplink, v1::StatusResponse& status) {
  v1::CollectorLink* collector = status.mutable_collector();
  collector->set_configured(uplink != nullptr);
  if (uplink != nullptr) {
    const uplink::Link link = uplink->link();
    collector->set_connected(link.connected);
    collector->set_address(link.address);
    collector->set_error(link.error);
    if (link.last_acknowledged_ns.has_value()) {
      collector->set_last_acknowledged_ns(static_cast<uint64_t>(*link.last_acknowledged_ns));
    }
    if (const auto check = uplink->last_clock_check(); check.has_value()) {
      collector->set_clock_ahead_ns(absl::ToInt64Nanoseconds(check->ahead));
    }
    // Right after the start it has neither succeeded nor failed yet.
    if (!link.connected && !link.error.empty()) {
      status.add_problems(absl::StrCat("collector ", link.error,
                                       "; events are kept in the spool until it answers"));
    }
  }
}

void AddHooks(const std::vector<sensor::HookState>& hooks, v1::StatusResponse& status) {
  for (const sensor::HookState& hook : hooks) {
    v1::Hook* shown = status.add_hooks();
    shown->set_name(hook.name);
    shown->set_attached(hook.attached);
    shown->set_reason(hook.reason);
    for (const sensor::OtherProgram& other : hook.others) {
      v1::OtherProgram* beside = shown->add_others();
      beside->set_id(other.id);
      beside->set_name(other.name);
      beside->set_runs_after(other.runs_after);
      beside->set_is_postern(other.is_postern);
      beside->set_pin_folder(other.pin_folder);
      beside->set_has_agent(other.has_agent);
    }
  }
}

void AddCounters(const pump::Counters& counters, uint64_t unreadable, v1::StatusResponse& status) {
  const auto verdict = [&](postern_verdict v) {
    return counters[POSTERN_COUNTER_VERDICT + static_cast<size_t>(v)];
  };
  v1::Counters* shown = status.mutable_counters();
  uint64_t seen = 0;
  for (size_t v = POSTERN_VERDICT_ALLOWED; v <= POSTERN_VERDICT_OVER_LIMIT; ++v) {
    seen += counters[POSTERN_COUNTER_VERDICT + v];
  }
  shown->set_seen(seen);
  shown->set_allowed(verdict(POSTERN_VERDICT_ALLOWED));
  shown->set_denied(verdict(POSTERN_VERDICT_DENIED));
  shown->set_would_deny(verdict(POSTERN_VERDICT_WOULD_DENY));
  shown->set_over_limit(verdict(POSTERN_VERDICT_OVER_LIMIT));
  shown->set_redirected(verdict(POSTERN_VERDICT_REDIRECTED));
  shown->set_would_redirect(verdict(POSTERN_VERDICT_WOULD_REDIRECT));
  shown->set_coalesced(counters[POSTERN_COUNTER_COALESCED]);
  shown->set_lost(pump::LostIn(counters) + unreadable);
  shown->set_unknown_processes(counters[POSTERN_COUNTER_UNKNOWN_PROCESS]);
  shown->set_processes_full(counters[POSTERN_COUNTER_PROCESSES_FULL]);
  shown->set_limits_full(counters[POSTERN_COUNTER_LIMITS_FULL]);
  shown->set_canaries(counters[POSTERN_COUNTER_CANARIES]);
  shown->set_redirects_without_room(counters[POSTERN_COUNTER_REDIRECT_NO_ROOM]);
}

void AddSpool(const spool::Stats& stats, v1::StatusResponse& status) {
  v1::SpoolState* shown = status.mutable_spool();
  shown->set_events(stats.events);
  shown->set_bytes(stats.bytes);
  shown->set_max_bytes(stats.max_bytes);
  if (stats.oldest_ns.has_value()) shown->set_oldest_ns(static_cast<uint64_t>(*stats.oldest_ns));
  shown->set_evicted(stats.evicted);
}

void AddPolicy(const PolicyInForce& policy, v1::StatusResponse& status) {
  status.set_mode(ModeName(policy.mode()));
  status.set_mode_overridden(policy.mode_overridden());
  status.set_generation(policy.generation());
  status.set_policy_loaded_ns(static_cast<uint64_t>(absl::ToUnixNanos(policy.since())));
  status.set_rules(static_cast<uint32_t>(policy.config().rules.size()));
  status.set_config_file(policy.config().file);
}

}  // namespace

v1::StatusResponse ReportStatus(const StatusSources& sources) {
  v1::StatusResponse status;
  for (const std::string& problem : sources.problems) status.add_problems(problem);
  for (const std::string& note : sources.notes) status.add_notes(note);
  AddCollector(sources.uplink, status);
  status.set_healthy(status.problems().empty());
  status.set_version(POSTERN_VERSION);
  status.set_host(sources.identity.host);
  status.set_agent(sources.identity.agent);
  status.set_boot(sources.identity.boot);
  status.set_started_ns(static_cast<uint64_t>(absl::ToUnixNanos(sources.started)));
  AddPolicy(sources.policy, status);
  AddHooks(sources.hooks, status);
  if (sources.proven.has_value()) {
    status.set_proven_ns(static_cast<uint64_t>(absl::ToUnixNanos(*sources.proven)));
  }
  if (auto counters = sources.sensor.ReadCounters(); counters.ok()) {
    AddCounters(*counters, sources.unreadable, status);
  }
  if (auto stats = sources.spool.GetStats(); stats.ok()) AddSpool(*stats, status);
  return status;
}

}  // namespace postern::agent
