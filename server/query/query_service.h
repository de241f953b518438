// SPDX-License-Identifier: Apache-2.0
// The Query service over an EventStore. Written for gRPC's synchronous server,
// whose threads may block: a question takes one of them while it is answered.
#ifndef POSTERN_SERVER_QUERY_QUERY_SERVICE_H_
#define POSTERN_SERVER_QUERY_QUERY_SERVICE_H_

#include <memory>

#include "server/metrics/figures.h"
#include "server/store/event_store.h"
#include "server/trust/peers.h"

namespace grpc {
class Service;
}

namespace postern::server {

// Questions are short.
inline constexpr int kMaxQueryMessageBytes = 1 << 20;

// `store` and `figures` outlive the service, and so does `peers`, which says who asks and of which
// hosts; null: the socket's file has decided, and all may be read. The service outlives
// its server, which is shut down before either goes.
std::unique_ptr<grpc::Service> MakeQueryService(EventStore* store, Figures* figures,
                                                const Peers* peers);

}  // namespace postern::server

#endif  // POSTERN_SERVER_QUERY_QUERY_SERVICE_H_
