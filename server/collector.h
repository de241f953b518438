// SPDX-License-Identifier: Apache-2.0
// Builds everything a collector is made of, and stops it.
//
// Order of teardown, the reverse of building: the metrics; the servers, those for TCP first,
// stop taking streams and questions and end those under way; the store commits what is queued,
// answers nobody any more, and closes its file; the sockets are removed and the
// run_dir let go.
#ifndef POSTERN_SERVER_COLLECTOR_H_
#define POSTERN_SERVER_COLLECTOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/metrics/server.h"
#include "server/config.h"

namespace postern::server {

class Collector {
 public:
  // When it returns both sockets answer, and so does TCP where it is asked for. Each error is one
  // line for the administrator. Call it while no other thread of the process makes files.
  static absl::StatusOr<std::unique_ptr<Collector>> Start(const CollectorConfig& config);
  // Stops.
  ~Collector();

 private:
  struct Parts;
  explicit Collector(std::unique_ptr<Parts> parts);

  // Null where their address cannot be had, which the log hears: figures are no reason
  // not to take events.
  std::unique_ptr<metrics::Server> ServeMetrics(const CollectorConfig& config);

  std::unique_ptr<Parts> parts_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_COLLECTOR_H_
