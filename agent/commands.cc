// SPDX-License-Identifier: Apache-2.0
#include "agent/commands.h"

#include <string>
#include <vector>

#include "common/log.h"
#include "common/status.h"

namespace postern::agent {

absl::StatusOr<v1::StatusResponse> Commands::GetStatus() {
  return queue_.Run<v1::StatusResponse>([this] { return subjects_.report_status(); });
}

absl::StatusOr<v1::TestPolicyResponse> Commands::TestPolicy(const v1::TestPolicyRequest& request) {
  return queue_.Run<v1::TestPolicyResponse>([this, request] {
    return subjects_.policy.Test(request, subjects_.local_addresses.addresses());
  });
}

absl::StatusOr<v1::SetModeResponse> Commands::SetMode(bool enforce) {
  return queue_.Run<v1::SetModeResponse>([this, enforce] {
    return Switch(enforce ? policy::Mode::kEnforce : policy::Mode::kMonitor);
  });
}

absl::StatusOr<v1::ReloadResponse> Commands::Reload() {
  return queue_.Run<v1::ReloadResponse>([this] { return subjects_.reload(); });
}

absl::StatusOr<v1::ShowPolicyResponse> Commands::ShowPolicy() {
  return queue_.Run<v1::ShowPolicyResponse>([this] { return subjects_.policy.Show(); });
}

absl::StatusOr<v1::SetModeResponse> Commands::Switch(policy::Mode mode) {
  RETURN_IF_ERROR(subjects_.policy.SetMode(mode));
  subjects_.mode_switched();
  v1::SetModeResponse response;
  response.set_generation(subjects_.policy.generation());
  if (mode == policy::Mode::kMonitor) return response;
  absl::StatusOr<std::vector<v1::Sender>> senders = subjects_.policy.RestartFirst();
  if (!senders.ok()) {
    LogWarning("senders that must be restarted cannot be listed: %s",
               std::string(senders.status().message()));
    return response;
  }
  for (v1::Sender& sender : *senders) *response.add_restart_first() = std::move(sender);
  return response;
}

}  // namespace postern::agent
