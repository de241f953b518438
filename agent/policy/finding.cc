// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/finding.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/cut_text.h"

namespace postern::policy {
namespace {

// A message may quote the file, which may hold anything.
std::string OneLine(absl::string_view message) {
  std::string line;
  for (const char c : message) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      absl::StrAppend(&line, "\\x", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      line.push_back(c);
    }
  }
  return line;
}

std::string Place(absl::string_view file, const Finding& finding) {
  if (finding.line == 0) return absl::StrCat(file, ": ");
  return absl::StrCat(file, ":", finding.line, ": ");
}

}  // namespace

void Findings::Fault(int line, absl::string_view message) { Add(Severity::kFault, line, message); }

void Findings::Warn(int line, absl::string_view message) { Add(Severity::kWarning, line, message); }

void Findings::Note(int line, absl::string_view message) { Add(Severity::kNote, line, message); }

void Findings::Add(Severity severity, int line, absl::string_view message) {
  all_.push_back({severity, line, CutMiddle(message, kMessageBytes)});
}

bool Findings::has_faults() const {
  return std::any_of(all_.begin(), all_.end(),
                     [](const Finding& f) { return f.severity == Severity::kFault; });
}

void Findings::Sort() {
  std::stable_sort(all_.begin(), all_.end(),
                   [](const Finding& a, const Finding& b) { return a.line < b.line; });
}

std::string WithoutSeverity(absl::string_view file, const Finding& finding) {
  return absl::StrCat(Place(file, finding), OneLine(finding.message));
}

std::string ToString(absl::string_view file, const Finding& finding) {
  absl::string_view kind;
  if (finding.severity == Severity::kWarning) kind = "warning: ";
  if (finding.severity == Severity::kNote) kind = "note: ";
  return absl::StrCat(Place(file, finding), kind, OneLine(finding.message));
}

}  // namespace postern::policy
