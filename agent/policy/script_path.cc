// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/script_path.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bpf/abi/identity.h"

namespace postern::policy {

absl::Status CheckScriptPath(absl::string_view path) {
  const auto refuse = [](absl::string_view problem) { return absl::InvalidArgumentError(problem); };
  if (!absl::StartsWith(path, "/")) {
    return refuse("is not an absolute path; write it as events show it");
  }
  if (path.size() >= POSTERN_SCRIPT_BYTES) {
    return refuse(absl::StrCat("is longer than ", POSTERN_SCRIPT_BYTES - 1,
                               " bytes, and no script with such a path is known"));
  }
  if (absl::StrContains(path, '\0')) return refuse("holds a NUL, which no path can");
  for (absl::string_view part : absl::StrSplit(path.substr(1), '/')) {
    if (part.empty() || part == "." || part == "..") {
      return refuse("holds '//', '.' or '..', or ends in '/': write it as events show it");
    }
  }
  if (absl::EndsWith(path, "*")) {
    return refuse("ends in '*': a script is named by its whole path");
  }
  return absl::OkStatus();
}

}  // namespace postern::policy
