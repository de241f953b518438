// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_ONE_LINE_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_ONE_LINE_H_

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace postern::server::clickhouse {

// The first line of what a server or curl says is wrong, of at most 300 bytes and without
// control characters.
inline std::string OneLine(absl::string_view text) {
  constexpr size_t kMostBytes = 300;
  std::string line(text.substr(0, std::min(text.find('\n'), kMostBytes)));
  for (char& c : line) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return line;
}

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_ONE_LINE_H_
