// SPDX-License-Identifier: Apache-2.0
#include "common/cut_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace postern {
namespace {

// "[… N bytes …]" with the longest N.
constexpr size_t kMarkBytes = 36;

// RFC 3629, section 3: the second and later bytes of a character.
bool Continues(absl::string_view text, size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
}

}  // namespace

std::string CutMiddle(absl::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  const size_t half = (bytes_max - std::min(bytes_max, kMarkBytes)) / 2;
  size_t front = half;
  size_t back = text.size() - half;
  // A character has four bytes at most; more of this kind is no UTF-8.
  for (int i = 0; i < 3 && front > 0 && Continues(text, front); ++i) --front;
  for (int i = 0; i < 3 && Continues(text, back); ++i) ++back;
  return absl::StrCat(text.substr(0, front), "[… ", back - front, " bytes …]", text.substr(back));
}

}  // namespace postern
