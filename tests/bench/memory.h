// SPDX-License-Identifier: Apache-2.0
// Whether agent and collector take the same memory at the millionth event as at the
// first ones.
#ifndef POSTERN_TESTS_BENCH_MEMORY_H_
#define POSTERN_TESTS_BENCH_MEMORY_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "tests/bench/lab.h"

namespace postern::bench {

// Has processes of several users make `events` connects, each a whole record, and
// prints what is resident in between. `go_on` is asked often.
absl::Status MeasureMemory(const Lab& lab, const std::string& bin, int64_t events,
                           const std::function<bool()>& go_on);

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_MEMORY_H_
