// SPDX-License-Identifier: Apache-2.0
// Which rule an index meant in a generation. Records carry an index and a
// generation, and those of an earlier one may still lie in the rings, across a
// restart of the agent too.
#ifndef POSTERN_AGENT_POLICY_RULE_NAMES_H_
#define POSTERN_AGENT_POLICY_RULE_NAMES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"

namespace postern::policy {

// Kept in STATE_DIR/rule-names, of the last kGenerations generations of one
// boot: generations count anew after the next. Thread-safe.
class RuleNames {
 public:
  static constexpr size_t kGenerations = 64;

  // Reads what is kept; `boot` is the kernel's boot id. A file of another boot,
  // or one that cannot be read, counts as empty: then indexes stay numbers.
  RuleNames(const std::string& state_dir, const std::string& boot);

  // Before `generation` judges anything, so that no record is left without its
  // rule's name. On error the names are known to this process all the same.
  absl::Status Set(uint32_t generation, const std::vector<std::string>& names);

  // "default" for POSTERN_RULE_DEFAULT; "#3" for index 3 of an unknown generation.
  std::string Name(uint32_t generation, uint16_t rule) const;

 private:
  using Generations = std::map<uint32_t, std::vector<std::string>>;

  static Generations Parse(absl::string_view text, absl::string_view boot);
  std::string Format() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const std::string boot_;
  mutable Mutex mutex_;
  Generations generations_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_RULE_NAMES_H_
