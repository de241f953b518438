// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_TESTS_BENCH_STORE_BARE_SCAN_H_
#define POSTERN_TESTS_BENCH_STORE_BARE_SCAN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "server/store/event_filter.h"

namespace postern::bench {

// What SQLite itself takes to step through the rows of a store that begin in the
// window, as they lie, with what groups by destination are made of. How many there are.
absl::StatusOr<int64_t> ScanBare(const std::string& catalog, const server::TimeWindow& window);

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_STORE_BARE_SCAN_H_
