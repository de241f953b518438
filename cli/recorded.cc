// SPDX-License-Identifier: Apache-2.0
#include "cli/recorded.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/collector_client.h"
#include "cli/endpoint.h"
#include "common/status.h"

namespace postern::cli {
namespace {

// All that a rule can ask for, the verdict, and what names the sender to people.
v1::Event FactsOf(const v1::Event& event) {
  v1::Event facts;
  facts.set_verdict(event.verdict());
  facts.set_rule(event.rule());
  if (event.has_uid()) facts.set_uid(event.uid());
  if (event.has_euid()) facts.set_euid(event.euid());
  if (event.has_gid()) facts.set_gid(event.gid());
  if (event.has_egid()) facts.set_egid(event.egid());
  if (event.has_started_as()) facts.set_started_as(event.started_as());
  facts.set_user(event.user());
  facts.set_comm(event.comm());
  facts.set_exe(event.exe());
  facts.set_exe_cut(event.exe_cut());
  facts.set_exe_unlinked(event.exe_unlinked());
  facts.set_exe_trusted(event.exe_trusted());
  facts.set_identity(event.identity());
  if (event.has_exe_file()) facts.mutable_exe_file()->set_device(event.exe_file().device());
  facts.set_script(event.script());
  facts.set_cgroup(event.cgroup());
  facts.set_in_container(event.in_container());
  facts.set_in_user_namespace(event.in_user_namespace());
  facts.set_family(event.family());
  facts.set_destination(event.destination());
  if (event.has_destination_local()) facts.set_destination_local(event.destination_local());
  facts.set_destinations_not_kept(event.destinations_not_kept());
  facts.set_port(event.port());
  return facts;
}

}  // namespace

void RecordedSenders::Add(const v1::Event& event) {
  if (event.kind() != v1::Event::CONNECT) return;
  const uint64_t attempts = event.repeats() + 1;
  attempts_ += attempts;
  v1::Event facts = FactsOf(event);
  const std::string key = facts.SerializeAsString();
  auto found = by_facts_.find(key);
  if (found == by_facts_.end()) {
    if (senders_.size() >= most_) {
      left_out_ += attempts;
      return;
    }
    found = by_facts_.emplace(key, senders_.size()).first;
    senders_.push_back({.facts = std::move(facts), .first_ns = event.time_ns()});
  }
  RecordedSender& sender = senders_[found->second];
  sender.attempts += attempts;
  sender.first_ns = std::min(sender.first_ns, event.time_ns());
  sender.last_ns = std::max({sender.last_ns, event.time_ns(), event.last_time_ns()});
}

void RecordedOptions::AddTo(CLI::App& app) {
  app_ = &app;
  app.add_option("--since", since_, "from this time on, or for so long; 7d if absent")
      ->option_text("TIME|DURATION");
  collector_.AddTo(app);
}

absl::StatusOr<uint64_t> RecordedOptions::Since(uint64_t now_ns) const {
  const CLI::Option* given = app_->get_option("--since");
  const std::string since = given->count() == 0 ? "7d" : since_;
  if (const auto duration = ParseDuration(since); duration.ok()) {
    return now_ns - std::min(now_ns, *duration);
  }
  const absl::StatusOr<uint64_t> time = ParseTime(since, now_ns);
  if (time.ok() && *time <= now_ns) return *time;
  return absl::InvalidArgumentError(
      absl::StrCat("--since: \"", since,
                   "\" is not a time in the past; write it like 7d, -12h or 2026-03-01T14:30"));
}

absl::StatusOr<Record> RecordedOptions::Read(AgentClient& agent, uint64_t now_ns) const {
  Record record;
  ASSIGN_OR_RETURN(record.since_ns, Since(now_ns));
  ASSIGN_OR_RETURN(const v1::StatusResponse status, agent.Status());
  record.host = status.host();
  const auto add = [&record](const v1::Event& event) {
    record.senders.Add(event);
    return true;
  };
  // Asked for by name, it is asked; else the agent says where its events are.
  if (!status.collector().configured() && app_->get_option("--collector")->count() == 0) {
    record.source = "the agent's spool";
    v1::RecordedRequest request;
    request.set_since_ns(record.since_ns);
    ASSIGN_OR_RETURN(record.completeness, agent.Recorded(request, add));
    return record;
  }
  ASSIGN_OR_RETURN(Endpoint endpoint, collector_.ToEndpoint());
  record.source = absl::StrCat("the collector at ", endpoint.address);
  ASSIGN_OR_RETURN(const std::unique_ptr<CollectorClient> client,
                   CollectorClient::Create(std::move(endpoint)));
  v1::FindRequest request;
  request.mutable_filter()->set_since_ns(record.since_ns);
  request.mutable_filter()->add_hosts(record.host);
  ASSIGN_OR_RETURN(record.completeness, client->Find(request, add));
  return record;
}

std::string Heading(const Record& record, Zone zone) {
  return absl::StrCat("Attempts of ", record.host, " since ",
                      FormatShortTime(record.since_ns, zone), " ", ZoneName(zone, record.since_ns),
                      ", from ", record.source);
}

}  // namespace postern::cli
