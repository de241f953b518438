// SPDX-License-Identifier: Apache-2.0
#include "common/utf8.h"

namespace postern {

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

bool IsUtf8(absl::string_view bytes) {
  while (!bytes.empty()) {
    uint32_t ignored = 0;
    const size_t length = DecodeUtf8(bytes, ignored);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

}  // namespace postern
