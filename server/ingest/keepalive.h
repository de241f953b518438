// SPDX-License-Identifier: Apache-2.0
// How soon a connection that is dead is known to be, where nobody closed it: a
// machine that lost its power, a network that was cut.
#ifndef POSTERN_SERVER_INGEST_KEEPALIVE_H_
#define POSTERN_SERVER_INGEST_KEEPALIVE_H_

#include <grpcpp/server_builder.h>

namespace postern::server {

// A connection over which nothing came for so long is asked whether it lives, and is
// closed where it does not say so in time. Together they are well below the time after
// which an agent that finds its epochs in use takes itself for a clone (60 s,
// agent/uplink/uplink.h): its own old stream is gone by then.
inline constexpr int kKeepaliveMs = 30'000;
inline constexpr int kKeepaliveTimeoutMs = 10'000;
// Agents ask too, and may do so as often as that.
inline constexpr int kLeastPingMs = 5'000;

inline void KeepAlive(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kLeastPingMs);
}

}  // namespace postern::server

#endif  // POSTERN_SERVER_INGEST_KEEPALIVE_H_
