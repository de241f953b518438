// SPDX-License-Identifier: Apache-2.0
// Where a peer is reached, and what to tell a person when it is not.
#ifndef POSTERN_CLI_ENDPOINT_H_
#define POSTERN_CLI_ENDPOINT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tls/context.h"

// So that only the clients include gRPC.
namespace grpc {
class Channel;
class Status;
}  // namespace grpc

namespace postern::cli {

inline constexpr char kAgentReadSocket[] = "unix:/run/postern-agent/read.sock";
inline constexpr char kAgentAdminSocket[] = "unix:/run/postern-agent/admin.sock";
inline constexpr char kCollectorSocket[] = "unix:/run/postern-collector/query.sock";

struct Endpoint {
  std::string peer;     // "the agent"
  std::string address;  // "unix:PATH", or "HOST:PORT" with `tls`
  std::string service;  // "posternd"
  std::string allowed;  // who may ask: "root or as a member of group postern"
  std::string sockets;  // which of its sockets answer: "read.sock or admin.sock"
  tls::Files tls;       // for "HOST:PORT"
};

// InvalidArgument: not an address, or one for which something is missing.
absl::StatusOr<Endpoint> AgentReadEndpoint(const std::string& address);
absl::StatusOr<Endpoint> AgentAdminEndpoint(const std::string& address);
absl::StatusOr<Endpoint> CollectorEndpoint(const std::string& address, tls::Files tls);

// Makes sure that somebody listens, for gRPC does not say what is wrong with a
// socket's file, and over TLS that both sides believe each other. Unavailable or
// PermissionDenied: one line for a person. Whoever connects reads what can be wrong
// with files of certificates as InvalidArgument.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const Endpoint& endpoint);

// A failed call as one line for a person. InvalidArgument stays what it is: the
// peer refused what was asked.
absl::Status CallStatus(const Endpoint& endpoint, const grpc::Status& status);

}  // namespace postern::cli

#endif  // POSTERN_CLI_ENDPOINT_H_
