// SPDX-License-Identifier: Apache-2.0
// The interpreters whose scripts are known, and their options. One table: the kernel
// finds the script at exec by it, agent/enrich for processes whose exec was not seen.
#ifndef POSTERN_AGENT_SENSOR_INTERPRETERS_H_
#define POSTERN_AGENT_SENSOR_INTERPRETERS_H_

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "agent/sensor/bpf_map.h"

namespace postern::sensor {

// Letters of an interpreter's short options. A cluster ("-we") is read letter by
// letter; what a letter takes is the rest of the cluster or the next argument.
struct Interpreter {
  absl::string_view name;
  absl::string_view code;      // takes the program itself: there is no script
  absl::string_view script;    // takes the script
  absl::string_view value;     // takes a value, attached or next
  absl::string_view attached;  // takes the rest of the cluster, if any
  // Long options, separated by blanks; "name=value" needs no mention.
  absl::string_view long_code;
  absl::string_view long_script;
  absl::string_view long_value;

  // "+x" is an option too.
  bool is_shell() const { return absl::EndsWith(name, "sh"); }
};

absl::Span<const Interpreter> Interpreters();

// Fills the maps of bpf/abi/interpreter.h.
absl::Status WriteInterpreters(const BpfMap& names, const BpfMap& long_options);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_INTERPRETERS_H_
