// SPDX-License-Identifier: Apache-2.0
// What the agent's metrics say, from what `postern status` says and what the kernel
// counted. docs/operations.md has the table.
#ifndef POSTERN_AGENT_METRICS_REPORT_H_
#define POSTERN_AGENT_METRICS_REPORT_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "agent/pump/loss_watch.h"
#include "agent/spool/spool.h"
#include "common/metrics/family.h"
#include "postern/v1/control.pb.h"

namespace postern::agent {

struct MetricsSources {
  const v1::StatusResponse& status;
  const pump::Counters& counters;
  uint64_t unreadable;  // records that the agent could not make sense of
  // Each absent where it could not be read, or there is none.
  std::optional<v1::ShowPolicyResponse> policy;
  std::optional<spool::EpochState> epoch;  // the spool's current one
  std::optional<absl::Time> certificate_expiry;
};

std::vector<metrics::Family> ReportMetrics(const MetricsSources& sources);

}  // namespace postern::agent

#endif  // POSTERN_AGENT_METRICS_REPORT_H_
