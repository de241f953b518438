// SPDX-License-Identifier: Apache-2.0
#include "agent/restart_needed.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace postern::agent {

std::string RestartNeeded(const policy::Config& started_with, const policy::Config& now) {
  std::vector<std::string> keys;
  const auto compare = [&](const auto& before, const auto& after, const char* key) {
    if (before != after) keys.push_back(absl::StrCat("'", key, "'"));
  };
  compare(started_with.state_dir, now.state_dir, "state_dir");
  compare(started_with.run_dir, now.run_dir, "run_dir");
  compare(started_with.bpffs, now.bpffs, "bpffs");
  compare(started_with.cgroup, now.cgroup, "cgroup");
  compare(started_with.host, now.host, "host");
  compare(started_with.spool_max_bytes, now.spool_max_bytes, "spool.max_bytes");
  if (keys.empty()) return "";
  return absl::StrCat(now.file, ": ", absl::StrJoin(keys, ", "),
                      keys.size() == 1 ? " has changed and takes" : " have changed and take",
                      " effect at the next start");
}

}  // namespace postern::agent
