// SPDX-License-Identifier: Apache-2.0
#include "agent/control/services.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "agent/canary/reserved.h"

namespace postern::control {
namespace {

// How soon a tail sees that its reader has left, or that the agent stops.
constexpr absl::Duration kTailWait = absl::Milliseconds(250);

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.raw_code()), std::string(status.message())};
}

template <typename Response>
grpc::Status Answer(absl::StatusOr<Response> result, Response* response) {
  if (!result.ok()) return ToGrpc(result.status());
  *response = *std::move(result);
  return grpc::Status::OK;
}

}  // namespace

grpc::Status ControlService::Status(grpc::ServerContext* /*context*/,
                                    const v1::StatusRequest* /*request*/,
                                    v1::StatusResponse* response) {
  return Answer(backends_.status->GetStatus(), response);
}

grpc::Status ControlService::Tail(grpc::ServerContext* context, const v1::TailRequest* request,
                                  grpc::ServerWriter<v1::Event>* writer) {
  if (++tails_ > kTails) {
    --tails_;
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            absl::StrCat("already ", kTails, " readers follow this agent: end one of them")};
  }
  const std::shared_ptr<EventFeed::Subscription> events = backends_.feed->Subscribe();
  // The reader knows from here on that it misses nothing.
  writer->SendInitialMetadata();
  while (!stopping_ && !context->IsCancelled()) {
    const std::optional<v1::Event> event = events->Next(kTailWait);
    if (!event.has_value() || (canary::IsProof(*event) && !request->canaries())) continue;
    if (!writer->Write(*event)) break;
  }
  --tails_;
  return grpc::Status::OK;
}

grpc::Status ControlService::TestPolicy(grpc::ServerContext* /*context*/,
                                        const v1::TestPolicyRequest* request,
                                        v1::TestPolicyResponse* response) {
  return Answer(backends_.tester->TestPolicy(*request), response);
}

grpc::Status ControlService::ShowPolicy(grpc::ServerContext* /*context*/,
                                        const v1::ShowPolicyRequest* /*request*/,
                                        v1::ShowPolicyResponse* response) {
  return Answer(backends_.policy->ShowPolicy(), response);
}

grpc::Status AdminService::SetMode(grpc::ServerContext* /*context*/,
                                   const v1::SetModeRequest* request,
                                   v1::SetModeResponse* response) {
  if (request->mode() != "monitor" && request->mode() != "enforce") {
    return {grpc::StatusCode::INVALID_ARGUMENT, "mode must be monitor or enforce"};
  }
  return Answer(backends_.mode->SetMode(request->mode() == "enforce"), response);
}

grpc::Status AdminService::Reload(grpc::ServerContext* /*context*/,
                                  const v1::ReloadRequest* /*request*/,
                                  v1::ReloadResponse* response) {
  return Answer(backends_.policy->Reload(), response);
}

grpc::Status AdminService::Recorded(grpc::ServerContext* context,
                                    const v1::RecordedRequest* request,
                                    grpc::ServerWriter<v1::RecordedResponse>* writer) {
  v1::RecordedResponse response;
  absl::StatusOr<v1::Completeness> completeness =
      backends_.workshop->ReadRecorded(*request, [&](const v1::Event& event) {
        *response.mutable_event() = event;
        return !stopping_ && !context->IsCancelled() && writer->Write(response);
      });
  if (!completeness.ok()) return ToGrpc(completeness.status());
  *response.mutable_completeness() = *std::move(completeness);
  writer->Write(response);
  return grpc::Status::OK;
}

grpc::Status AdminService::WouldPolicy(
    grpc::ServerContext* /*context*/,
    grpc::ServerReaderWriter<v1::WouldPolicyResponse, v1::WouldPolicyRequest>* stream) {
  v1::WouldPolicyRequest request;
  if (!stream->Read(&request) || !request.has_policy()) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "the first message must have a policy"};
  }
  absl::StatusOr<std::unique_ptr<PolicyTrial>> trial =
      backends_.workshop->TryPolicy(request.policy());
  if (!trial.ok()) return ToGrpc(trial.status());
  v1::WouldPolicyResponse response;
  *response.mutable_checked() = (*trial)->checked();
  bool wanted = stream->Write(response) && (*trial)->checked().accepted();
  while (wanted && !stopping_ && stream->Read(&request)) {
    *response.mutable_judgements() = (*trial)->Judge(request.senders());
    wanted = stream->Write(response);
  }
  return grpc::Status::OK;
}

grpc::Status AdminService::ExamineBinaries(grpc::ServerContext* /*context*/,
                                           const v1::ExamineBinariesRequest* request,
                                           v1::ExamineBinariesResponse* response) {
  for (const std::string& path : request->paths()) {
    *response->add_binaries() = backends_.workshop->ExamineBinary(path);
  }
  return grpc::Status::OK;
}

}  // namespace postern::control
