// SPDX-License-Identifier: Apache-2.0
#include "cli/collector_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "postern/v1/query.grpc.pb.h"

namespace postern::cli {
namespace {

constexpr std::chrono::seconds kPatience(30);

// Reads rows and the Completeness that must come last. `handle` takes a response
// and says false when nobody wants more.
template <typename Response, typename Handle>
absl::StatusOr<v1::Completeness> ReadAll(const Endpoint& endpoint, grpc::ClientContext& context,
                                         grpc::ClientReader<Response>& reader,
                                         const Handle& handle) {
  std::optional<v1::Completeness> completeness;
  Response response;
  bool wanted = true;
  while (wanted && reader.Read(&response)) {
    if (response.has_completeness()) {
      completeness = response.completeness();
    } else {
      wanted = handle(response);
    }
  }
  if (!wanted) context.TryCancel();
  const grpc::Status status = reader.Finish();
  if (!wanted) return absl::CancelledError("nobody reads the answer");
  RETURN_IF_ERROR(CallStatus(endpoint, status));
  if (!completeness) {
    return absl::DataLossError(
        absl::StrCat("the answer of ", endpoint.peer, " at ", endpoint.address,
                     " broke off: it does not say whether the record is complete; ask again"));
  }
  return *completeness;
}

}  // namespace

CollectorClient::CollectorClient(Endpoint endpoint, std::shared_ptr<grpc::Channel> channel)
    : endpoint_(std::move(endpoint)), channel_(std::move(channel)) {}

absl::StatusOr<std::unique_ptr<CollectorClient>> CollectorClient::Create(Endpoint endpoint) {
  ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, OpenChannel(endpoint));
  return std::unique_ptr<CollectorClient>(
      new CollectorClient(std::move(endpoint), std::move(channel)));
}

absl::StatusOr<v1::Completeness> CollectorClient::Find(
    const v1::FindRequest& request, const std::function<bool(const v1::Event&)>& on_event) {
  // No deadline: how long an answer takes is the asker's to judge.
  grpc::ClientContext context;
  const auto stub = v1::Query::NewStub(channel_);
  const auto reader = stub->Find(&context, request);
  return ReadAll(endpoint_, context, *reader, [&](const v1::FindResponse& response) {
    return !response.has_event() || on_event(response.event());
  });
}

absl::StatusOr<v1::Completeness> CollectorClient::Group(
    const v1::GroupRequest& request, const std::function<bool(const v1::Group&)>& on_group) {
  grpc::ClientContext context;
  const auto stub = v1::Query::NewStub(channel_);
  const auto reader = stub->Group(&context, request);
  return ReadAll(endpoint_, context, *reader, [&](const v1::GroupResponse& response) {
    return !response.has_group() || on_group(response.group());
  });
}

absl::StatusOr<v1::HostsResponse> CollectorClient::Hosts() {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::HostsResponse response;
  RETURN_IF_ERROR(CallStatus(
      endpoint_, v1::Query::NewStub(channel_)->Hosts(&context, v1::HostsRequest(), &response)));
  return response;
}

}  // namespace postern::cli
