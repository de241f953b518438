// SPDX-License-Identifier: Apache-2.0
// What a process costs while nothing happens.
#ifndef POSTERN_TESTS_BENCH_REST_H_
#define POSTERN_TESTS_BENCH_REST_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/status/statusor.h"

namespace postern::bench {

struct Memory {
  uint64_t resident_bytes = 0;
  // Of it: mappings of BPF maps, the rings among them.
  uint64_t ring_bytes = 0;
};

absl::StatusOr<Memory> ReadMemory(pid_t pid);

// On any core, by all its threads that live, since they were started.
absl::StatusOr<uint64_t> ReadCpuNs(pid_t pid);

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_REST_H_
