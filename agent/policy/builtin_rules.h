// SPDX-License-Identifier: Apache-2.0
// The rules that hold where a configuration has no `rules:` of its own. What of
// them this host does not have is left out, with a note.
#ifndef POSTERN_AGENT_POLICY_BUILTIN_RULES_H_
#define POSTERN_AGENT_POLICY_BUILTIN_RULES_H_

#include "absl/strings/string_view.h"

namespace postern::policy {

// The two paths are those of Debian and its kin, and of Fedora and its kin.
inline constexpr absl::string_view kBuiltInRules = R"(rules:
  - name: postfix
    user: postfix
    exe: [/usr/lib/postfix/sbin/smtp, /usr/libexec/postfix/smtp]
    started_as: root
    action: allow
  - name: local
    destination: local
    action: allow
)";

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_BUILTIN_RULES_H_
