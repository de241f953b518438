// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/row_binary.h"

namespace postern::server::clickhouse {

void PutText(absl::string_view text, std::string& rows) {
  size_t left = text.size();
  for (; left >= 0x80; left >>= 7) rows.push_back(static_cast<char>(left | 0x80));
  rows.push_back(static_cast<char>(left));
  rows.append(text.data(), text.size());
}

absl::string_view RowReader::Text() {
  uint64_t size = 0;
  for (int shift = 0;; shift += 7) {
    const absl::string_view byte = Take(1);
    if (byte.empty()) return {};
    size |= static_cast<uint64_t>(byte[0] & 0x7f) << shift;
    if ((byte[0] & 0x80) == 0) break;
    if (shift >= 56) {
      ok_ = false;
      return {};
    }
  }
  return Take(size);
}

absl::string_view RowReader::Take(size_t bytes) {
  if (!ok_ || bytes > rest_.size()) {
    ok_ = false;
    return {};
  }
  const absl::string_view taken = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  return taken;
}

}  // namespace postern::server::clickhouse
