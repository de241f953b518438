// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/last_good.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/policy/atomic_file.h"
#include "common/status.h"
#include "common/yaml.h"

namespace postern::policy {

LastGood::LastGood(const std::string& state_dir)
    : path_(absl::StrCat(state_dir, "/last-good.yaml")) {}

absl::Status LastGood::Keep(absl::string_view text) {
  const auto kept = ReadSmallFile(path_, YamlReader::kMaxFileBytes);
  if (kept.ok() && *kept == text) return absl::OkStatus();
  return WriteFileAtomically(path_, text);
}

absl::StatusOr<LoadedConfig> LastGood::Load(const Host& host) const {
  ASSIGN_OR_RETURN(std::string text, ReadSmallFile(path_, YamlReader::kMaxFileBytes));
  return LoadConfig(path_, std::move(text), host, Missing::kLeaveOut);
}

}  // namespace postern::policy
