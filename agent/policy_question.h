// SPDX-License-Identifier: Apache-2.0
// `postern policy test`: from its words to a subject, and to the answer.
#ifndef POSTERN_AGENT_POLICY_QUESTION_H_
#define POSTERN_AGENT_POLICY_QUESTION_H_

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "agent/policy/compiled_policy.h"
#include "agent/policy/compiler.h"
#include "agent/policy/config.h"
#include "agent/policy/evaluator.h"
#include "agent/policy/explain.h"
#include "agent/policy/host.h"
#include "agent/policy/local_addresses.h"
#include "postern/v1/control.pb.h"

namespace postern::agent {

// What an action comes to, within a limit.
v1::Event::Verdict VerdictOf(postern_action action, policy::Mode mode);

struct Question {
  policy::Subject subject;
  policy::SubjectText text;
};

// InvalidArgument names the part that cannot be understood.
absl::StatusOr<Question> ReadQuestion(const v1::TestPolicyRequest& request,
                                      const policy::Host& host,
                                      absl::Span<const policy::AddressBytes> local_addresses,
                                      const policy::IdentifyBinary& identify);

// `policy` was compiled from `config`.
v1::TestPolicyResponse AnswerQuestion(const Question& question, const policy::Config& config,
                                      const policy::CompiledPolicy& policy);

}  // namespace postern::agent

#endif  // POSTERN_AGENT_POLICY_QUESTION_H_
