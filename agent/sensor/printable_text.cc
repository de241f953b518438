// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"
#include "agent/sensor/decoder.h"
#include "common/utf8.h"

namespace postern::sensor {
namespace {

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
