// SPDX-License-Identifier: Apache-2.0
// The policy that the kernel judges by, and the configuration it came from.
// Either all of a change happens or none of it. Owned by one thread.
#ifndef POSTERN_AGENT_POLICY_IN_FORCE_H_
#define POSTERN_AGENT_POLICY_IN_FORCE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "agent/mode_override.h"
#include "agent/policy/compiled_policy.h"
#include "agent/policy/config.h"
#include "agent/policy/host.h"
#include "agent/policy/local_addresses.h"
#include "agent/policy/rule_names.h"
#include "agent/sensor/sensor.h"
#include "postern/v1/control.pb.h"

namespace postern::agent {

class PolicyInForce {
 public:
  // All outlive it.
  PolicyInForce(sensor::Sensor& sensor, const policy::Host& host, policy::RuleNames& names,
                const std::string& state_dir);

  // Compiles and publishes, in the mode of the file or of its override.
  absl::Status Apply(const policy::Config& config);
  // Publishes the same rules in another mode, which holds until the file's changes.
  absl::Status SetMode(policy::Mode mode);
  // Has the mode in force outlive this agent. Apart, for a disk that is full.
  absl::Status KeepMode() const;

  // As the file has it, its mode too.
  const policy::Config& config() const { return config_; }
  policy::Mode mode() const { return mode_; }
  bool mode_overridden() const { return mode_ != config_.mode; }
  // In which a file that says `in_file` would come into force.
  policy::Mode ModeFor(policy::Mode in_file) const { return override_.Effective(in_file); }
  uint32_t generation() const { return generation_; }
  absl::Time since() const { return since_; }

  // Which rule would judge a connect, and why. InvalidArgument for a user, file
  // or destination that cannot be understood.
  absl::StatusOr<v1::TestPolicyResponse> Test(
      const v1::TestPolicyRequest& request,
      absl::Span<const policy::AddressBytes> local_addresses) const;

  // What the kernel holds of it, and what came of each rule.
  absl::StatusOr<v1::ShowPolicyResponse> Show() const;

  // Processes that a rule would allow if their exec had been seen.
  absl::StatusOr<std::vector<v1::Sender>> RestartFirst() const;

 private:
  absl::Status Publish(const policy::Config& config, policy::Mode mode);

  sensor::Sensor& sensor_;
  const policy::Host& host_;
  policy::RuleNames& names_;
  const ModeOverride override_;

  policy::Config config_;
  policy::CompiledPolicy compiled_;
  // Of the binaries that rules name, by their paths there.
  std::map<std::string, policy::BinaryId> binaries_;
  policy::Mode mode_ = policy::Mode::kMonitor;
  uint32_t generation_ = 0;
  absl::Time since_;
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_POLICY_IN_FORCE_H_
