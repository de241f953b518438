// SPDX-License-Identifier: Apache-2.0
// Agent, collector and command line together: at rest, from connect() to the
// answer of a query, and under a process that hammers.
#ifndef POSTERN_TESTS_BENCH_LATENCY_H_
#define POSTERN_TESTS_BENCH_LATENCY_H_

#include <string>

#include "absl/status/status.h"
#include "tests/bench/lab.h"

namespace postern::bench {

// Prints its figures. An error says which part could not be measured.
absl::Status MeasureWhole(const Lab& lab, const std::string& bin, int rest_seconds, int attempts);

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_LATENCY_H_
