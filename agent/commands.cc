// SPDX-License-Identifier: Apache-2.0
#include "agent/commands.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/log.h"
#include "common/status.h"

namespace postern::agent {
namespace {

// A commit takes milliseconds. Who takes enforcement back is not kept waiting for a
// disk that fails.
constexpr absl::Duration kRecordPatience = absl::Seconds(5);

}  // namespace

absl::StatusOr<v1::StatusResponse> Commands::GetStatus() {
  return queue_.Run<v1::StatusResponse>([this] { return subjects_.report_status(); });
}

absl::StatusOr<v1::TestPolicyResponse> Commands::TestPolicy(const v1::TestPolicyRequest& request) {
  return queue_.Run<v1::TestPolicyResponse>([this, request] {
    return subjects_.policy.Test(request, subjects_.local_addresses.addresses());
  });
}

absl::StatusOr<v1::SetModeResponse> Commands::SetMode(bool enforce) {
  ASSIGN_OR_RETURN(Switched switched, queue_.Run<Switched>([this, enforce] {
    return Switch(enforce ? policy::Mode::kEnforce : policy::Mode::kMonitor);
  }));
  v1::SetModeResponse& response = switched.response;
  if (response.problem().empty() && !AwaitRecord(switched.event)) {
    response.set_problem(
        "the switch is in force, but not on record yet: it is written once the spool can be, see "
        "postern status; if the agent is killed before, the record lacks it");
  }
  return std::move(response);
}

bool Commands::AwaitRecord(uint64_t event) {
  // The owner commits between two looks at the queue.
  const absl::StatusOr<uint64_t> recorded = queue_.Run<uint64_t>(
      [this]() -> absl::StatusOr<uint64_t> { return subjects_.recorded(); }, kRecordPatience);
  return recorded.ok() && *recorded >= event;
}

absl::StatusOr<v1::ReloadResponse> Commands::Reload() {
  return queue_.Run<v1::ReloadResponse>([this] { return subjects_.reload(); });
}

absl::StatusOr<v1::ShowPolicyResponse> Commands::ShowPolicy() {
  return queue_.Run<v1::ShowPolicyResponse>([this] { return subjects_.policy.Show(); });
}

absl::StatusOr<Commands::Switched> Commands::Switch(policy::Mode mode) {
  RETURN_IF_ERROR(subjects_.policy.SetMode(mode));
  // The way back must be there on a disk that is full.
  const absl::Status kept = subjects_.policy.KeepMode();
  Switched switched;
  switched.event = subjects_.mode_switched();
  v1::SetModeResponse& response = switched.response;
  response.set_generation(subjects_.policy.generation());
  if (!kept.ok()) {
    response.set_problem(absl::StrCat("the switch is in force, but would not outlive the agent: ",
                                      kept.message(), "; mend that and switch again"));
    LogWarning("%s", response.problem());
  }
  if (mode == policy::Mode::kMonitor) return switched;
  absl::StatusOr<std::vector<v1::Sender>> senders = subjects_.policy.RestartFirst();
  if (!senders.ok()) {
    LogWarning("senders that must be restarted cannot be listed: %s",
               std::string(senders.status().message()));
    return switched;
  }
  for (v1::Sender& sender : *senders) *response.add_restart_first() = std::move(sender);
  return switched;
}

}  // namespace postern::agent
