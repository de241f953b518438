// SPDX-License-Identifier: Apache-2.0
// Values in a command line that look like secrets, replaced by "***". A guess by
// names: what is not named as a secret is not found. Pure functions.
#ifndef POSTERN_AGENT_ENRICH_SECRETS_H_
#define POSTERN_AGENT_ENRICH_SECRETS_H_

#include "absl/strings/string_view.h"
#include "postern/v1/event.pb.h"

namespace postern::enrich {

// What stands in place of a secret.
inline constexpr char kMask[] = "***";

// Whether an option or variable of this name holds a secret: one of its words
// says so ("--auth-password", "DB_PASSWD", "apiKey").
bool NamesSecret(absl::string_view name);

// In event.args: "--password=x", "--password x", "NAME_TOKEN=x", `$password = "x"`
// and `"token": "x"` anywhere in an argument, "scheme://user:x@host",
// "Authorization: Bearer x", the short options of the programs that are known for
// them (mysql -px, curl -u user:x, sshpass -px, swaks -ap x), and of any program
// "-p x" beside "-u" or its like, unless x looks like a port. docs/operations.md
// says it to those who read events.
void MaskSecrets(v1::Event& event);

}  // namespace postern::enrich

#endif  // POSTERN_AGENT_ENRICH_SECRETS_H_
