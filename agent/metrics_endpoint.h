// SPDX-License-Identifier: Apache-2.0
// Serves the agent's metrics where the configuration says, as long as it does. An address
// that cannot be had is tried again: no host is left unjudged for want of figures. Owned
// by one thread.
#ifndef POSTERN_AGENT_METRICS_ENDPOINT_H_
#define POSTERN_AGENT_METRICS_ENDPOINT_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "common/metrics/server.h"

namespace postern::agent {

class MetricsEndpoint {
 public:
  // `collect` is called by the server's threads.
  explicit MetricsEndpoint(metrics::Server::Collect collect) : collect_(std::move(collect)) {}

  // To be called again and again. Empty: nowhere. May wait for an answer under way.
  void Keep(const std::string& address);

  // What is wrong, with what to do about it; "" where nothing is.
  const std::string& problem() const { return problem_; }

 private:
  const metrics::Server::Collect collect_;
  std::string address_;
  std::unique_ptr<metrics::Server> server_;
  std::string problem_;
  absl::Time retry_at_ = absl::InfinitePast();  // of SteadyNow()
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_METRICS_ENDPOINT_H_
