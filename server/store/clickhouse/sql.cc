// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/sql.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace postern::server::clickhouse {

std::string Quoted(absl::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "'";
  for (const unsigned char c : text) {
    if (absl::ascii_isalnum(c) || absl::StrContains("/._- :@", static_cast<char>(c))) {
      quoted.push_back(static_cast<char>(c));
    } else {
      quoted += "\\x";
      quoted.push_back(kHex[c >> 4]);
      quoted.push_back(kHex[c & 0xf]);
    }
  }
  return quoted + "'";
}

}  // namespace postern::server::clickhouse
