// SPDX-License-Identifier: Apache-2.0
// Run times of BPF programs, as the kernel keeps them while statistics are on
// (kernel.bpf_stats_enabled, BPF_ENABLE_STATS).
#ifndef POSTERN_TESTS_BENCH_PROGRAM_STATS_H_
#define POSTERN_TESTS_BENCH_PROGRAM_STATS_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/unique_fd.h"

namespace postern::bench {

struct ProgramTime {
  uint64_t runs = 0;
  uint64_t ns = 0;
};
// By name.
using ProgramTimes = std::map<std::string, ProgramTime>;

// Programs that a process holds descriptors of, by id.
std::vector<uint32_t> ProgramsOfProcess(pid_t pid);

// Since they were loaded. Programs of one name are summed up.
absl::StatusOr<ProgramTimes> ReadProgramTimes(const std::vector<uint32_t>& ids);

// Adds what ran between two readings.
void AddDifference(ProgramTimes& sum, const ProgramTimes& before, const ProgramTimes& after);

// Statistics are on while it lives.
absl::StatusOr<UniqueFd> EnableProgramStats();

// Programs at connect4 of this cgroup: more than the bench's own disturb it.
absl::StatusOr<size_t> CountConnectPrograms(const std::string& cgroup);

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_PROGRAM_STATS_H_
