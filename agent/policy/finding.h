// SPDX-License-Identifier: Apache-2.0
// What reading and checking a configuration has to say, each by its line.
#ifndef POSTERN_AGENT_POLICY_FINDING_H_
#define POSTERN_AGENT_POLICY_FINDING_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace postern::policy {

enum class Severity {
  kNote,     // something was left out or assumed; nobody need act
  kWarning,  // the configuration is taken, but may not do what it seems to
  kFault,    // the configuration is refused
};

struct Finding {
  Severity severity = Severity::kFault;
  int line = 0;  // from 1; 0: the file as a whole, or nothing that was written in it
  std::string message;
};

class Findings {
 public:
  // Of a very long message the middle is left out: it is a value that the file has.
  void Fault(int line, absl::string_view message);
  void Warn(int line, absl::string_view message);
  void Note(int line, absl::string_view message);

  const std::vector<Finding>& all() const { return all_; }
  bool has_faults() const;
  // Orders by line; findings of one line keep the order they were made in.
  void Sort();

 private:
  void Add(Severity severity, int line, absl::string_view message);

  std::vector<Finding> all_;
};

// "FILE:LINE: MESSAGE". One line: control characters come as \xNN.
std::string WithoutSeverity(absl::string_view file, const Finding& finding);
// The same, with "warning: " or "note: " before the message of those.
std::string ToString(absl::string_view file, const Finding& finding);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_FINDING_H_
