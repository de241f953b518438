// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"
#include "agent/sensor/decoder.h"

namespace postern::sensor {
namespace {

// Length of the valid UTF-8 sequence (RFC 3629, section 4) at the front of
// `bytes`, and its code point; 0 where there is none.
size_t DecodeUtf8(absl::string_view bytes, uint32_t& code_point) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t first = byte(0);
  size_t length;
  uint32_t smallest;
  if (first < 0x80) {
    code_point = first;
    return 1;
  } else if ((first & 0xe0) == 0xc0) {
    length = 2, smallest = 0x80, code_point = first & 0x1f;
  } else if ((first & 0xf0) == 0xe0) {
    length = 3, smallest = 0x800, code_point = first & 0x0f;
  } else if ((first & 0xf8) == 0xf0) {
    length = 4, smallest = 0x10000, code_point = first & 0x07;
  } else {
    return 0;
  }
  if (bytes.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code_point = code_point << 6 | (byte(i) & 0x3f);
  }
  const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  return code_point < smallest || code_point > 0x10ffff || surrogate ? 0 : length;
}

// What a terminal or a reader would act on instead of showing: controls, line
// and paragraph separators, zero-width and direction marks, tags, noncharacters.
bool IsPrintable(uint32_t c) {
  if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad) return false;
  if (c >= 0x200b && c <= 0x200f) return false;
  if (c >= 0x2028 && c <= 0x202e) return false;
  if (c >= 0x2060 && c <= 0x206f) return false;
  if (c == 0x061c || c == 0x180e || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb)) return false;
  if (c >= 0xe0000 && c <= 0xe0fff) return false;
  return (c & 0xfffe) != 0xfffe && !(c >= 0xfdd0 && c <= 0xfdef);
}

}  // namespace

std::string PrintableText(absl::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    uint32_t code_point = 0;
    size_t length = DecodeUtf8(bytes, code_point);
    if (length != 0 && code_point == '\\') {
      text.append("\\\\");
    } else if (length != 0 && IsPrintable(code_point)) {
      text.append(bytes.data(), length);
    } else {
      if (length == 0) length = 1;
      for (size_t i = 0; i < length; ++i) {
        absl::StrAppendFormat(&text, "\\x%02x", static_cast<uint8_t>(bytes[i]));
      }
    }
    bytes.remove_prefix(length);
  }
  return text;
}

}  // namespace postern::sensor
