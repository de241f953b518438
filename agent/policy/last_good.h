// SPDX-License-Identifier: Apache-2.0
// The last configuration that was accepted, kept so that one that is refused at
// the next start does not leave the host without rules.
#ifndef POSTERN_AGENT_POLICY_LAST_GOOD_H_
#define POSTERN_AGENT_POLICY_LAST_GOOD_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/policy/host.h"
#include "agent/policy/loader.h"

namespace postern::policy {

// A copy of the text, STATE_DIR/last-good.yaml, and not a compiled form: that
// one holds path ids that are only good for this boot's pins. Owned by one
// thread.
class LastGood {
 public:
  explicit LastGood(const std::string& state_dir);

  // After the policy of `text` was put in place. Writes nothing where that is
  // what is kept already. `state_dir` must exist.
  absl::Status Keep(absl::string_view text);

  // NotFound where nothing was kept. What the host no longer has is left out of
  // the rules, with notes (Missing::kLeaveOut); check ok() all the same: the
  // text may be of another version. Who uses the result reports itself as
  // degraded, with the faults of the configuration that was refused.
  absl::StatusOr<LoadedConfig> Load(const Host& host) const;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_LAST_GOOD_H_
