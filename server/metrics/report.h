// SPDX-License-Identifier: Apache-2.0
// What the collector's metrics say. docs/operations.md has the table.
//
// Nothing here has a host's name as a label. A series for each would be thousands, which
// new machines add to and old ones never leave; and who may connect to loopback has not
// therefore a right to the names. Metrics say how many are behind or silent and how far
// the worst is; `postern hosts` says which.
#ifndef POSTERN_SERVER_METRICS_REPORT_H_
#define POSTERN_SERVER_METRICS_REPORT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/metrics/family.h"
#include "postern/v1/query.pb.h"
#include "server/metrics/disk_use.h"
#include "server/metrics/figures.h"
#include "server/store/event_store.h"
#include "server/trust/trust_config.h"

namespace postern::server {

// Of agents that the store knows. One is behind by the age of what it has yet to send, by
// its own clock, as it said last; those that are silent or stopped are counted as such.
void AddAgents(const std::vector<v1::Host>& hosts, absl::Time now,
               std::vector<metrics::Family>& families);

struct MetricsSources {
  const Figures& figures;
  EventStore& store;
  std::string sqlite_path;  // "": the store is no file here
  const TrustConfig& trust;
  absl::Time started;
};
// Blocks for the store and the disk.
std::vector<metrics::Family> ReportMetrics(const MetricsSources& sources);

}  // namespace postern::server

#endif  // POSTERN_SERVER_METRICS_REPORT_H_
