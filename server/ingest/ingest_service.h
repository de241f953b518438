// SPDX-License-Identifier: Apache-2.0
// The Ingest service over an EventStore. docs/wire.md is the protocol's
// document.
#ifndef POSTERN_SERVER_INGEST_INGEST_SERVICE_H_
#define POSTERN_SERVER_INGEST_INGEST_SERVICE_H_

#include <memory>

#include "server/ingest/epoch_registry.h"
#include "server/metrics/figures.h"
#include "server/store/event_store.h"
#include "server/trust/conduct.h"
#include "server/trust/peers.h"

namespace grpc {
class Service;
}

namespace postern::server {

// A message above this ends its stream. Agents keep theirs below half of it.
inline constexpr int kMaxIngestMessageBytes = 8 << 20;
inline constexpr int kMaxBatchEvents = 10'000;
inline constexpr int kMaxPendingEpochs = 10'000;
// In memory: four times the bytes of the largest batch that an agent would send.
inline constexpr size_t kMaxIngestMessageCost = size_t{32} << 20;

// Who may write as whom, where the socket's file does not decide.
struct IngestGuard {
  const Peers& peers;
  Conduct& conduct;
};

// `store`, `registry` and `figures`, which all services of a collector share, outlive the
// service, and so does `guard`; null: whoever is here may write as any host. The
// service outlives its server, which is shut down before either goes.
std::unique_ptr<grpc::Service> MakeIngestService(EventStore* store, EpochRegistry* registry,
                                                 Figures* figures, const IngestGuard* guard);

}  // namespace postern::server

#endif  // POSTERN_SERVER_INGEST_INGEST_SERVICE_H_
