// SPDX-License-Identifier: Apache-2.0
// From the text of agent.yaml to a Config: grammar and single values. Whether
// accounts and files exist, and rules make sense together, is for the checks.
#ifndef POSTERN_AGENT_POLICY_CONFIG_READER_H_
#define POSTERN_AGENT_POLICY_CONFIG_READER_H_

#include <string>

#include "absl/strings/string_view.h"
#include "agent/policy/config.h"
#include "agent/policy/finding.h"

namespace postern::policy {

// Any text gives a Config; it is one to act by only if no fault was added to
// `findings`. `file` is for messages alone.
Config ParseConfig(const std::string& file, absl::string_view text, Findings& findings);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_CONFIG_READER_H_
