// SPDX-License-Identifier: Apache-2.0
// The least that a collector could do: takes batches and acknowledges them at once,
// without looking at their events. What gRPC and protobuf take by themselves.
#ifndef POSTERN_TESTS_BENCH_DELIVERY_ECHO_H_
#define POSTERN_TESTS_BENCH_DELIVERY_ECHO_H_

#include <string>

#include "absl/status/status.h"

namespace postern::bench {

// Serves at `address` until SIGTERM or SIGINT.
absl::Status ServeEcho(const std::string& address);

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_DELIVERY_ECHO_H_
