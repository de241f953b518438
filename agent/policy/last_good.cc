// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/last_good.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/small_file.h"
#include "common/yaml.h"

namespace postern::policy {

LastGood::LastGood(const std::string& state_dir)
    : path_(absl::StrCat(state_dir, "/last-good.yaml")) {}

absl::Status LastGood::Keep(absl::string_view text) {
  const auto kept = ReadSmallFile(path_, YamlReader::kMaxFileBytes, Links::kRefuse);
  if (kept.ok() && *kept == text) return absl::OkStatus();
  return WriteFileAtomically(path_, text);
}

absl::StatusOr<LoadedConfig> LastGood::Load(const Host& host) const {
  auto text = ReadSmallFile(path_, YamlReader::kMaxFileBytes, Links::kRefuse);
  if (!text.ok()) {
    return absl::Status(text.status().code(),
                        absl::StrCat("last good policy ", path_, " ", text.status().message()));
  }
  return LoadConfig(path_, *std::move(text), host, Missing::kLeaveOut);
}

}  // namespace postern::policy
