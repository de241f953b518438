// SPDX-License-Identifier: Apache-2.0
// What is measured: batches of one and the same thing.
#ifndef POSTERN_TESTS_BENCH_WORKLOAD_H_
#define POSTERN_TESTS_BENCH_WORKLOAD_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace postern::bench {

inline constexpr uint16_t kWatchedPort = 25;
inline constexpr uint16_t kUnwatchedPort = 2526;

enum class Destination {
  kSame,       // a process that hammers: coalesced
  kEachItsOwn  // whole records
};

// Nanoseconds for each socket() + connect() + close() to a port of 127/8 that
// nobody listens on. Refused with the error of connect() where it is neither
// success nor ECONNREFUSED.
absl::StatusOr<double> TimeConnects(uint16_t port, Destination destination, int count);

// Nanoseconds for each fork + exec + exit + wait of `true`.
absl::StatusOr<double> TimeExecs(int count);

// Runs TimeConnects in a new process: auditing concerns only those that were
// started after it was switched on.
absl::StatusOr<double> TimeConnectsInChild(uint16_t port, Destination destination, int count);

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_WORKLOAD_H_
