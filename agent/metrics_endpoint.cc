// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics_endpoint.h"

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/steady_clock.h"

namespace postern::agent {

namespace {

constexpr absl::Duration kRetry = absl::Seconds(10);

}  // namespace

void MetricsEndpoint::Keep(const std::string& address) {
  if (address != address_) {
    server_.reset();
    address_ = address;
    problem_.clear();
    retry_at_ = absl::InfinitePast();
  }
  if (address_.empty() || server_ != nullptr || SteadyNow() < retry_at_) return;
  absl::StatusOr<std::unique_ptr<metrics::Server>> server =
      metrics::Server::Start(address_, collect_);
  if (server.ok()) {
    LogInfo("metrics on http://%s/metrics", address_);
    server_ = *std::move(server);
    problem_.clear();
    return;
  }
  retry_at_ = SteadyNow() + kRetry;
  problem_ = absl::StrCat(server.status().message(),
                          ": free it or change 'metrics'; it is tried again by itself");
}

}  // namespace postern::agent
