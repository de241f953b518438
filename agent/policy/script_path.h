// SPDX-License-Identifier: Apache-2.0
// Scripts of a rule: absolute paths as the kernel writes them at exec, compared as text.
#ifndef POSTERN_AGENT_POLICY_SCRIPT_PATH_H_
#define POSTERN_AGENT_POLICY_SCRIPT_PATH_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace postern::policy {

// InvalidArgument says what is wrong, to stand behind the path.
absl::Status CheckScriptPath(absl::string_view path);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_SCRIPT_PATH_H_
