// SPDX-License-Identifier: Apache-2.0
// From rules to the lookups that the kernel judges by (bpf/abi/policy.h).
#ifndef POSTERN_AGENT_POLICY_COMPILER_H_
#define POSTERN_AGENT_POLICY_COMPILER_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/policy/compiled_policy.h"
#include "agent/policy/config.h"

namespace postern::policy {

// Where the kernel sees the file at a path; in the agent, Sensor::IdentifyBinary.
using IdentifyBinary = std::function<absl::StatusOr<BinaryId>(const std::string& path)>;

// `config` has passed the checks; its mode is the compiled policy's. Rules keep
// their places, so an index into config.rules is one into the policy. On error,
// FILE:LINE and the reason: a binary that the kernel could not be asked about.
absl::StatusOr<CompiledPolicy> Compile(const Config& config, const IdentifyBinary& identify);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_COMPILER_H_
