// SPDX-License-Identifier: Apache-2.0
// A channel to one collector, over a unix socket or TLS.
#ifndef POSTERN_AGENT_UPLINK_LINE_H_
#define POSTERN_AGENT_UPLINK_LINE_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tls/context.h"
#include "common/tls/tunnel.h"
#include "common/unique_fd.h"

namespace postern::uplink {

// A connection over which nothing came for `every` is asked whether it lives, and is
// given up where it does not say so within `timeout`.
struct Keepalive {
  absl::Duration every = absl::Seconds(30);
  absl::Duration timeout = absl::Seconds(10);
};

struct Line {
  std::unique_ptr<tls::Tunnel> tunnel;  // null for a unix socket; outlives the channel
  UniqueFd socket;                      // the channel's
  std::shared_ptr<grpc::Channel> channel;

  // Ends what is under way on the channel. To cancel a call is not enough: what gRPC has
  // begun to write waits for a peer that does not read, cancelled or not.
  void Cut() const;
  // `status` of a call on the channel; where there was no connection, why not.
  absl::Status Explain(absl::Status status) const;
};

// InvalidArgument: neither "unix:/PATH" nor "HOST:PORT".
absl::Status CheckAddress(const std::string& address);

// Does not wait for the collector. Fails where nobody listens at a unix socket, or files
// of `files` cannot be used, which that does not need.
absl::StatusOr<Line> Dial(const std::string& address, const tls::Files& files,
                          const Keepalive& keepalive = {});
// To one of which no more is known than its CA's fingerprint.
absl::StatusOr<Line> DialPinned(const std::string& address, const std::string& ca_fingerprint);

}  // namespace postern::uplink

#endif  // POSTERN_AGENT_UPLINK_LINE_H_
