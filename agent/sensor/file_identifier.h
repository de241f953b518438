// SPDX-License-Identifier: Apache-2.0
// Where a file stands as the kernel sees it: an iterator over our own open file
// runs the same walk and hash that exec does.
#ifndef POSTERN_AGENT_SENSOR_FILE_IDENTIFIER_H_
#define POSTERN_AGENT_SENSOR_FILE_IDENTIFIER_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "agent/policy/compiled_policy.h"
#include "common/mutex.h"

struct bpf_program;

namespace postern::sensor {

// Thread-safe.
class FileIdentifier {
 public:
  // `iterator` is the loaded iter/task_file program, and outlives this object.
  explicit FileIdentifier(const bpf_program* iterator) : iterator_(iterator) {}

  // Links are followed, as open(2) does. NotFound and the like name the path.
  absl::StatusOr<policy::BinaryId> Identify(const std::string& path) const;

 private:
  const bpf_program* const iterator_;
  // The kernel side walks in one room.
  mutable Mutex one_at_a_time_;
};

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_FILE_IDENTIFIER_H_
