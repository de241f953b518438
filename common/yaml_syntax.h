// SPDX-License-Identifier: Apache-2.0
// Looks a configuration's text over before any node is made of it, and says at
// which line a fault begins: yaml-cpp names the one at which it noticed.
//
// Less than YAML is taken, so that a slip of the hand is never read as something
// else: one document, a map, of keys followed by ':' on their line and values
// that end on theirs (yaml-cpp takes a quote that is never closed for the rest of
// the file), without anchors, aliases, tags or control characters.
#ifndef POSTERN_COMMON_YAML_SYNTAX_H_
#define POSTERN_COMMON_YAML_SYNTAX_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace postern {

struct YamlSyntaxFault {
  int line = 0;  // from 1; 0: the file as a whole
  std::string message;
};

// The first fault. Collections may nest `max_depth` deep.
std::optional<YamlSyntaxFault> FindYamlSyntaxFault(absl::string_view text, int max_depth);

}  // namespace postern

#endif  // POSTERN_COMMON_YAML_SYNTAX_H_
