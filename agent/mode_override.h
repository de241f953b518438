// SPDX-License-Identifier: Apache-2.0
// A mode that was switched by hand: it holds across restarts, until the `mode:`
// value in the file changes.
#ifndef POSTERN_AGENT_MODE_OVERRIDE_H_
#define POSTERN_AGENT_MODE_OVERRIDE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "agent/policy/config.h"

namespace postern::agent {

// "monitor" or "enforce".
std::string ModeName(policy::Mode mode);

// Kept in STATE_DIR/mode-override, one line: the file's mode when it was made,
// and the mode that holds. Owned by one thread.
class ModeOverride {
 public:
  explicit ModeOverride(const std::string& state_dir) : path_(state_dir + "/mode-override") {}

  // The mode that holds for a file that says `in_file`. A file that cannot be
  // read counts as none.
  policy::Mode Effective(policy::Mode in_file) const;
  // The file's mode has been taken: an override of another one is over for good.
  void Settle(policy::Mode in_file) const;
  // `mode` holds from now on; what the file says itself needs no override.
  absl::Status Set(policy::Mode in_file, policy::Mode mode) const;

 private:
  std::string path_;
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_MODE_OVERRIDE_H_
