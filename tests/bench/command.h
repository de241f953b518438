// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_TESTS_BENCH_COMMAND_H_
#define POSTERN_TESTS_BENCH_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace postern::bench {

using Arguments = std::vector<std::string>;

// Runs it to its end, in that network namespace where it is not -1. Its output;
// an error that says what it said where the exit code is not 0.
absl::StatusOr<std::string> RunChecked(const Arguments& arguments, int netns_fd = -1);

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_COMMAND_H_
