// SPDX-License-Identifier: Apache-2.0
// An evaluation in words, for `postern policy test`.
#ifndef POSTERN_AGENT_POLICY_EXPLAIN_H_
#define POSTERN_AGENT_POLICY_EXPLAIN_H_

#include <string>
#include <vector>

#include "agent/policy/config.h"
#include "agent/policy/evaluator.h"

namespace postern::policy {

// How the subject was named by who asks; numbers are shown where these are empty.
struct SubjectText {
  std::string user;
  std::string exe;
  // Why a binary that is not trusted proves nothing, in words that follow its path
  // (BinaryFinding); empty: others than root could write it.
  std::string exe_problem = {};
};

// One line a rule, up to and with the one that decided; then, where none did,
// one on the default. `config` is what the policy was compiled from.
std::vector<std::string> Explain(const Config& config, const Subject& subject,
                                 const SubjectText& text, const Evaluation& evaluation);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_EXPLAIN_H_
