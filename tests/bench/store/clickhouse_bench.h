// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_TESTS_BENCH_STORE_CLICKHOUSE_BENCH_H_
#define POSTERN_TESTS_BENCH_STORE_CLICKHOUSE_BENCH_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace postern::bench {

// Prints what a store in ClickHouse takes and answers, beside clickhouse-client that
// inserts the same rows into the same table and asks the same by hand. Starts a server
// of its own below `folder`.
absl::Status MeasureClickHouse(int64_t rows, const std::string& folder);

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_STORE_CLICKHOUSE_BENCH_H_
