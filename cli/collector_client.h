// SPDX-License-Identifier: Apache-2.0
// The collector, as the commands ask it. Errors are one line for a person;
// InvalidArgument means that the collector refused what was asked.
#ifndef POSTERN_CLI_COLLECTOR_CLIENT_H_
#define POSTERN_CLI_COLLECTOR_CLIENT_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/endpoint.h"
#include "postern/v1/query.pb.h"

namespace postern::cli {

// Not thread-safe.
class CollectorClient {
 public:
  // Refused where nobody listens at the endpoint.
  static absl::StatusOr<std::unique_ptr<CollectorClient>> Create(Endpoint endpoint);

  // Hand over rows in the collector's order and return what it says about the
  // record. A row's handler that returns false ends the call with Cancelled. An
  // answer that breaks off is an error, whatever came before.
  absl::StatusOr<v1::Completeness> Find(const v1::FindRequest& request,
                                        const std::function<bool(const v1::Event&)>& on_event);
  absl::StatusOr<v1::Completeness> Group(const v1::GroupRequest& request,
                                         const std::function<bool(const v1::Group&)>& on_group);

  absl::StatusOr<v1::HostsResponse> Hosts();

 private:
  CollectorClient(Endpoint endpoint, std::shared_ptr<grpc::Channel> channel);

  const Endpoint endpoint_;
  const std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace postern::cli

#endif  // POSTERN_CLI_COLLECTOR_CLIENT_H_
