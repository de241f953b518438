// SPDX-License-Identifier: Apache-2.0
// `postern policy would`: judges what was recorded by another policy. What an event
// does not say is not guessed: then the verdict is told only where it is the same
// whatever the answer.
#ifndef POSTERN_AGENT_POLICY_REPLAY_H_
#define POSTERN_AGENT_POLICY_REPLAY_H_

#include <map>
#include <optional>
#include <string>

#include "agent/policy/compiled_policy.h"
#include "agent/policy/compiler.h"
#include "agent/policy/config.h"
#include "agent/policy/evaluator.h"
#include "agent/policy/host.h"
#include "postern/v1/control.pb.h"
#include "postern/v1/event.pb.h"

namespace postern::agent {

// Not thread-safe; touches nothing but files of programs, to see where they stand.
class PolicyReplay {
 public:
  // False where rules ask for what is not replayed: its verdicts would be guesses.
  static bool Covers(const policy::CompiledPolicy& policy);

  // `policy` was compiled from `config`, whose mode is that of the verdicts. The
  // host outlives this.
  PolicyReplay(policy::Config config, const policy::CompiledPolicy& policy,
               const policy::Host& host, policy::IdentifyBinary identify);

  v1::Judgement Judge(const v1::Event& sender);

 private:
  // Another binary than any that a policy names.
  static constexpr policy::BinaryId kOther = {.device = 0xffffffff, .path = {.high = 1, .low = 1}};

  void ReadBinary(const v1::Event& sender, policy::Subject& subject, policy::Unknown& unknown);
  policy::BinaryId FindBinary(const std::string& path, const std::string& device);
  void NameRule(uint16_t rule, v1::Judgement& judgement) const;

  const policy::Config config_;
  const policy::Evaluator evaluator_;
  const policy::Host& host_;
  const policy::IdentifyBinary identify_;
  const std::optional<uint64_t> network_namespace_;  // the host's
  // By path: where the file that is there now stands.
  std::map<std::string, std::optional<policy::BinaryId>> binaries_;
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_POLICY_REPLAY_H_
