// SPDX-License-Identifier: Apache-2.0
#include "agent/coexist/text.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace postern::coexist {
namespace {

bool Contains(uint16_t port, absl::string_view list) {
  for (const absl::string_view entry :
       absl::StrSplit(list, absl::ByAnyChar(", {}\t"), absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> ends =
        absl::StrSplit(entry, absl::MaxSplits(absl::ByAnyChar(":-"), 1));
    uint32_t first = 0, last = 0;
    if (!absl::SimpleAtoi(ends.first, &first)) continue;
    if (ends.second.empty()) {
      last = first;
    } else if (!absl::SimpleAtoi(ends.second, &last)) {
      continue;
    }
    if (first <= port && port <= last) return true;
  }
  return false;
}

}  // namespace

std::string Shown(absl::string_view text, size_t length) {
  const bool cut = text.size() > length;
  std::string shown(text.substr(0, length));
  std::replace_if(
      shown.begin(), shown.end(),
      [](char c) { return !absl::ascii_isprint(static_cast<unsigned char>(c)); }, '?');
  if (cut) shown += "...";
  return shown;
}

std::vector<std::string> Words(absl::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!quoted && absl::ascii_isspace(static_cast<unsigned char>(c))) {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
      continue;
    }
    word.push_back(c);
    if (c == '"') quoted = !quoted;
    if (c == '\\' && quoted && i + 1 < text.size()) word.push_back(text[++i]);
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

bool NamesOneOf(const Ports& ports, absl::string_view list) {
  return std::any_of(ports.begin(), ports.end(),
                     [list](uint16_t port) { return Contains(port, list); });
}

bool LeavesOneOf(const Ports& ports, absl::string_view list) {
  return std::any_of(ports.begin(), ports.end(),
                     [list](uint16_t port) { return !Contains(port, list); });
}

}  // namespace postern::coexist
