// SPDX-License-Identifier: Apache-2.0
// Runs a BPF iterator to its end.
#ifndef POSTERN_AGENT_SENSOR_ITERATOR_RUN_H_
#define POSTERN_AGENT_SENSOR_ITERATOR_RUN_H_

#include <string>

#include "absl/status/statusor.h"

struct bpf_program;
union bpf_iter_link_info;

namespace postern::sensor {

// What it wrote with bpf_seq_write. `target` (may be null) says what to walk.
absl::StatusOr<std::string> RunIterator(const bpf_program* program, bpf_iter_link_info* target);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_ITERATOR_RUN_H_
