// SPDX-License-Identifier: Apache-2.0
// The local agent, as the commands ask it. Errors are one line for a person;
// InvalidArgument means that the agent refused what was asked.
#ifndef POSTERN_CLI_AGENT_CLIENT_H_
#define POSTERN_CLI_AGENT_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/endpoint.h"
#include "postern/v1/control.pb.h"

namespace postern::cli {

// Not thread-safe.
class AgentClient {
 public:
  // Refused where nobody listens at the endpoint.
  static absl::StatusOr<std::unique_ptr<AgentClient>> Create(Endpoint endpoint);

  absl::StatusOr<v1::StatusResponse> Status();
  absl::StatusOr<v1::TestPolicyResponse> TestPolicy(const v1::TestPolicyRequest& request);
  absl::StatusOr<v1::ShowPolicyResponse> ShowPolicy();
  // These need the agent's admin socket.
  absl::StatusOr<v1::SetModeResponse> SetMode(const std::string& mode);
  absl::StatusOr<v1::ReloadResponse> Reload();
  // Hands over what the agent's spool holds, oldest first, until `on_event` says
  // false: then Cancelled.
  absl::StatusOr<v1::Completeness> Recorded(const v1::RecordedRequest& request,
                                            const std::function<bool(const v1::Event&)>& on_event);
  // One judgement a sender, in their order; none where the policy is not accepted.
  absl::StatusOr<v1::CheckedPolicy> WouldPolicy(const v1::PolicyText& policy,
                                                const std::vector<const v1::Event*>& senders,
                                                std::vector<v1::Judgement>& judgements);
  absl::StatusOr<v1::ExamineBinariesResponse> ExamineBinaries(
      const std::vector<std::string>& paths);

  // Hands over events as they happen until `on_event` says false or `stop_fd`
  // becomes readable: both are success. -1: no such descriptor.
  absl::Status Tail(const v1::TailRequest& request, int stop_fd,
                    const std::function<bool(const v1::Event&)>& on_event);

 private:
  AgentClient(Endpoint endpoint, std::shared_ptr<grpc::Channel> channel);

  const Endpoint endpoint_;
  const std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace postern::cli

#endif  // POSTERN_CLI_AGENT_CLIENT_H_
