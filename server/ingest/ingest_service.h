// SPDX-License-Identifier: Apache-2.0
// The Ingest service over an EventStore. docs/wire.md is the protocol's
// document.
#ifndef POSTERN_SERVER_INGEST_INGEST_SERVICE_H_
#define POSTERN_SERVER_INGEST_INGEST_SERVICE_H_

#include <memory>

#include "server/store/event_store.h"

namespace grpc {
class Service;
}

namespace postern::server {

// A message above this ends its stream. Agents keep theirs below half of it.
inline constexpr int kMaxIngestMessageBytes = 8 << 20;
inline constexpr int kMaxBatchEvents = 10'000;
inline constexpr int kMaxPendingEpochs = 10'000;

// `store` outlives the service, and the service its server, which is shut down
// before either goes.
std::unique_ptr<grpc::Service> MakeIngestService(EventStore* store);

}  // namespace postern::server

#endif  // POSTERN_SERVER_INGEST_INGEST_SERVICE_H_
