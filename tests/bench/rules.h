// SPDX-License-Identifier: Apache-2.0
// What a connect costs by the size of the policy, beside iptables and nft rules of the
// same number.
#ifndef POSTERN_TESTS_BENCH_RULES_H_
#define POSTERN_TESTS_BENCH_RULES_H_

#include <string>

#include "absl/status/status.h"
#include "tests/bench/lab.h"

namespace postern::bench {

// Prints the table. `go_on` is asked between two measurements.
absl::Status MeasureRules(const Lab& lab, const std::string& bin, int rounds, int connects,
                          bool (*go_on)());

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_RULES_H_
