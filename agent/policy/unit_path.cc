// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/unit_path.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace postern::policy {
namespace {

// The NUL at the end is part of a key.
constexpr size_t kPathBytesMax = POSTERN_UNIT_BYTES - 1;

absl::Status Refuse(absl::string_view problem) { return absl::InvalidArgumentError(problem); }

}  // namespace

absl::StatusOr<UnitPath> ParseUnitPath(absl::string_view text) {
  UnitPath unit;
  unit.prefix = absl::ConsumeSuffix(&text, "*");
  unit.path = std::string(text);
  if (!absl::StartsWith(text, "/")) {
    return Refuse(
        "is no path from the root of cgroup v2, such as /system.slice/cron.service: events show it "
        "as 'cgroup'");
  }
  if (absl::StrContains(text, "*")) return Refuse("has a '*' that is not at its end");
  if (absl::StrContains(text, "//") || absl::StrContains(text, absl::string_view("\0", 1)) ||
      (!unit.prefix && text.size() > 1 && absl::EndsWith(text, "/"))) {
    return Refuse("is a path that no cgroup can have");
  }
  if (text.size() > kPathBytesMax) {
    return Refuse(absl::StrCat("is longer than ", kPathBytesMax, " bytes"));
  }
  return unit;
}

bool Contains(const UnitPath& unit, absl::string_view cgroup) {
  return unit.prefix ? absl::StartsWith(cgroup, unit.path) : cgroup == unit.path;
}

bool Covers(const UnitPath& outer, const UnitPath& inner) {
  return (outer.prefix || !inner.prefix) && Contains(outer, inner.path);
}

std::string ToString(const UnitPath& unit) {
  return absl::StrCat(unit.path, unit.prefix ? "*" : "");
}

postern_unit_key ToKey(const UnitPath& unit) {
  postern_unit_key key = {};
  std::copy(unit.path.begin(), unit.path.end(), key.path);
  key.bits = static_cast<uint32_t>(unit.path.size() + (unit.prefix ? 0 : 1)) * 8;
  return key;
}

}  // namespace postern::policy
