// SPDX-License-Identifier: Apache-2.0
#include "agent/coexist/denials.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "agent/coexist/text.h"

namespace postern::coexist {
namespace {

// The value of ` NAME=…`, without its quotes. (A value with odd bytes stands in hex,
// without quotes; such a path is not one of ours.)
std::string Field(absl::string_view line, absl::string_view name) {
  const std::string begin = absl::StrCat(" ", name, "=");
  const size_t at = line.find(begin);
  if (at == absl::string_view::npos) return "";
  absl::string_view value = line.substr(at + begin.size());
  if (absl::StartsWith(value, "\"")) {
    value.remove_prefix(1);
    return std::string(value.substr(0, value.find('"')));
  }
  return std::string(value.substr(0, value.find(' ')));
}

// 1700000000.123:456 of audit(1700000000.123:456): its time and number.
std::string AuditId(absl::string_view line) {
  const size_t at = line.find("audit(");
  if (at == absl::string_view::npos) return "";
  const absl::string_view id = line.substr(at + 6);
  return std::string(id.substr(0, id.find(')')));
}

std::optional<absl::Time> TimeOf(absl::string_view id) {
  int64_t seconds = 0;
  if (!absl::SimpleAtoi(id.substr(0, id.find('.')), &seconds)) return std::nullopt;
  return absl::FromUnixSeconds(seconds);
}

// { read write } of an SELinux message.
std::string Permissions(absl::string_view line) {
  const size_t begin = line.find("{ ");
  const size_t end = line.find(" }");
  if (begin == absl::string_view::npos || end == absl::string_view::npos || end < begin + 2) {
    return "";
  }
  return std::string(line.substr(begin + 2, end - begin - 2));
}

// By the 15 bytes of a name that any process can give itself: a hint.
bool IsOurProgram(absl::string_view comm) {
  return comm == "posternd" || comm == "postern" || comm == "postern-collect";
}

}  // namespace

bool Denials::IsOurs(absl::string_view path) const {
  return std::any_of(own_.begin(), own_.end(), [path](absl::string_view ours) {
    return !ours.empty() && absl::StartsWith(path, ours) &&
           (path.size() == ours.size() || path[ours.size()] == '/');
  });
}

void Denials::AddLine(absl::string_view line, const std::string& source) {
  const bool apparmor = absl::StrContains(line, "apparmor=\"DENIED\"");
  const bool selinux = !apparmor && absl::StrContains(line, "avc:  denied  {");
  if (!apparmor && !selinux) return;
  const std::string comm = Field(line, "comm");
  std::string path = Field(line, "path");
  if (path.empty()) path = Field(line, "name");
  const bool by_us = IsOurProgram(comm);
  if (!by_us && !IsOurs(path)) return;
  const std::string id = AuditId(line);
  const std::optional<absl::Time> time = TimeOf(id);
  if (!time.has_value() || *time < since_) return;
  if (seen_.size() < kMostSeen && !seen_.insert(id).second) return;

  std::string what =
      apparmor
          ? absl::StrCat("AppArmor (profile ", Shown(Field(line, "profile"), 64), ") denied ",
                         Shown(comm, 15), " `", Shown(Field(line, "operation"), 64), "`")
          : absl::StrCat("SELinux ",
                         Field(line, "permissive") == "1" ? "(permissive) would deny " : "denied ",
                         Shown(comm, 15), " `", Shown(Permissions(line), 64), "` of class ",
                         Shown(Field(line, "tclass"), 64));
  if (!path.empty()) absl::StrAppend(&what, " on ", Shown(path, 100));
  if (found_.size() >= kMost && found_.count(what) == 0) {
    more_ = true;
    return;
  }
  Denial& denial = found_[what];
  ++denial.times;
  denial.last = std::max(denial.last, *time);
  denial.source = source;
  denial.by_us = by_us;
}

std::vector<std::string> Denials::Notes() const {
  std::vector<std::string> notes;
  for (const auto& [what, denial] : found_) {
    notes.push_back(absl::StrCat(
        what, ", ", denial.times, denial.times == 1 ? " time" : " times", " in the last day, last ",
        absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", denial.last, absl::UTCTimeZone()), " (",
        denial.source,
        denial.by_us
            ? "): what Postern may not do it cannot judge, record or answer; let its policy "
              "allow that"
            : "): that is a file of Postern's; it is no loss unless this was to work"));
  }
  if (more_) {
    notes.push_back("SELinux or AppArmor denied more on Postern's files than is shown here");
  }
  return notes;
}

}  // namespace postern::coexist
