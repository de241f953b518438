// SPDX-License-Identifier: Apache-2.0
// Files in which firewalls and security suites of hosting servers say what they do
// to mail ports. What they are told is what they put into the packet filter, when
// they run.
#ifndef POSTERN_AGENT_COEXIST_SETTINGS_H_
#define POSTERN_AGENT_COEXIST_SETTINGS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/coexist/text.h"

namespace postern::coexist {

// One line of a note each; `path` is where the text was found.

// csf.conf: NAME = "VALUE" by lines.
std::vector<std::string> CsfNotes(absl::string_view text, const std::string& path);

// Imunify360's configuration, as it writes it: YAML with SMTP_BLOCKING at the
// outermost level, its settings indented, lists by `- `.
std::vector<std::string> Imunify360Notes(absl::string_view text, const std::string& path);

// firewalld's direct.xml: elements <rule … chain="OUTPUT" …>ARGUMENTS</rule> and
// <passthrough …>-A OUTPUT ARGUMENTS</passthrough>. Comments are passed over.
std::vector<std::string> FirewalldNotes(const Ports& ports, absl::string_view text,
                                        const std::string& path);

}  // namespace postern::coexist

#endif  // POSTERN_AGENT_COEXIST_SETTINGS_H_
