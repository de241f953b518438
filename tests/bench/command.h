// SPDX-License-Identifier: Apache-2.0
// Other programs, run to their end.
#ifndef POSTERN_TESTS_BENCH_COMMAND_H_
#define POSTERN_TESTS_BENCH_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace postern::bench {

using Arguments = std::vector<std::string>;

struct Finished {
  int exit_code = -1;  // 128 + the signal where one ended it
  std::string output;  // both streams
};

// Looked up in PATH. Where `netns_fd` is not -1 it runs in that network namespace.
absl::StatusOr<Finished> RunToEnd(const Arguments& arguments, int netns_fd = -1);

// Its output; an error that carries the output where the exit code is not 0.
absl::StatusOr<std::string> RunChecked(const Arguments& arguments, int netns_fd = -1);

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_COMMAND_H_
