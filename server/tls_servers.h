// SPDX-License-Identifier: Apache-2.0
// What answers to connections over TLS: a server of gRPC for each role, which has
// no other service than that role may use, behind one door.
#ifndef POSTERN_SERVER_TLS_SERVERS_H_
#define POSTERN_SERVER_TLS_SERVERS_H_

#include <chrono>
#include <memory>

#include "absl/status/statusor.h"
#include "server/ingest/epoch_registry.h"
#include "server/metrics/figures.h"
#include "server/store/event_store.h"
#include "server/trust/trust_config.h"

namespace postern::server {

class TlsServers {
 public:
  // Answers when it returns. `store`, `registry` and `figures` outlive it.
  static absl::StatusOr<std::unique_ptr<TlsServers>> Start(const TrustConfig& config,
                                                           EventStore* store,
                                                           EpochRegistry* registry,
                                                           Figures* figures);
  // Shuts down, if that was not done.
  ~TlsServers();

  // Nobody comes in any more; what is under way ends by `deadline`.
  void Shutdown(std::chrono::system_clock::time_point deadline);

 private:
  struct Parts;
  explicit TlsServers(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_TLS_SERVERS_H_
