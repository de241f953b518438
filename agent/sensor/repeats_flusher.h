// SPDX-License-Identifier: Apache-2.0
// Has the kernel write what it coalesced as records into the rings
// (bpf/abi/state.h says how no count is lost on the way).
//
// Not thread-safe.
#ifndef POSTERN_AGENT_SENSOR_REPEATS_FLUSHER_H_
#define POSTERN_AGENT_SENSOR_REPEATS_FLUSHER_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/sensor/bpf_map.h"

struct bpf_program;

namespace postern::sensor {

class RepeatsFlusher {
 public:
  // The programs are loaded, and outlive this object.
  struct Parts {
    BpfMap active;
    BpfMap repeats;
    BpfMap spread;
    const bpf_program* flush_repeats;
    const bpf_program* flush_spread;
  };

  explicit RepeatsFlusher(Parts parts) : parts_(std::move(parts)) {}

  // Gives new pins their tables.
  absl::Status Prepare() const;
  // What finds its ring full stays counted, and is written by a later flush.
  absl::Status Flush() const;

 private:
  absl::Status Renew(uint32_t pair) const;
  // False when something was left because a ring is full.
  absl::StatusOr<bool> WriteOut(uint32_t pair) const;
  absl::StatusOr<bool> IsEmpty(uint32_t pair) const;

  Parts parts_;
};

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_REPEATS_FLUSHER_H_
