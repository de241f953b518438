// SPDX-License-Identifier: Apache-2.0
// The skeleton of all programs and maps, loaded onto the pins.
#ifndef POSTERN_AGENT_SENSOR_PROGRAM_SET_H_
#define POSTERN_AGENT_SENSOR_PROGRAM_SET_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/sensor/bpf_map.h"
#include "agent/sensor/pin_folder.h"

struct bpf_program;
struct postern_bpf;

namespace postern::sensor {

class ProgramSet {
 public:
  // Opens, sizes, verifies and loads; optional programs only where the kernel takes
  // them. Maps that are pinned are used as they are,
  // the others made and pinned. Unimplemented: the kernel lacks what every part
  // needs. PermissionDenied: root or a capability is missing. FailedPrecondition:
  // the pins are of another build. Without the newer helpers: see sensor::Options.
  static absl::StatusOr<std::unique_ptr<ProgramSet>> Load(const PinFolder& pins,
                                                          bool without_newer_helpers);
  ~ProgramSet();

  // By the name they have in bpf/; one that does not exist is a bug.
  BpfMap map(absl::string_view name) const;
  const bpf_program* program(absl::string_view name) const;
  // Why an optional program is not loaded; "" where it is.
  std::string WhyMissing(absl::string_view program) const;

 private:
  // By program: what of the kernel it lacks.
  using Missing = std::map<std::string, std::string, std::less<>>;

  // `refused`: the optional program that this kernel does not take, if that is why.
  static absl::StatusOr<std::unique_ptr<ProgramSet>> TryLoad(const PinFolder& pins,
                                                             bool without_newer_helpers,
                                                             const Missing& missing,
                                                             std::string& refused);

  ProgramSet(postern_bpf* skeleton, Missing missing)
      : skeleton_(skeleton), missing_(std::move(missing)) {}

  postern_bpf* const skeleton_;  // owned
  const Missing missing_;
};

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_PROGRAM_SET_H_
