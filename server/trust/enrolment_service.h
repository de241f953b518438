// SPDX-License-Identifier: Apache-2.0
// The Enrolment service over the authority's folder. Written for gRPC's synchronous
// server: it waits for the disk.
#ifndef POSTERN_SERVER_TRUST_ENROLMENT_SERVICE_H_
#define POSTERN_SERVER_TRUST_ENROLMENT_SERVICE_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/trust/peers.h"

namespace grpc {
class Service;
}

namespace postern::server {

inline constexpr int kMaxEnrolmentMessageBytes = 64 << 10;

// `peers` outlives the service, and the service its server.
std::unique_ptr<grpc::Service> MakeEnrolmentService(std::string pki_folder, absl::Duration lifetime,
                                                    const Peers* peers);

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_ENROLMENT_SERVICE_H_
