// SPDX-License-Identifier: Apache-2.0
// ClickHouse's format RowBinary: values one behind the other, numbers little-endian,
// texts behind their length (LEB128). Any bytes go through it unescaped.
// https://clickhouse.com/docs/interfaces/formats/RowBinary
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_ROW_BINARY_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_ROW_BINARY_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "absl/base/config.h"
#include "absl/strings/string_view.h"

namespace postern::server::clickhouse {

static_assert(ABSL_IS_LITTLE_ENDIAN);

template <typename Number>
void PutNumber(Number value, std::string& rows) {
  static_assert(std::is_integral_v<Number>);
  rows.append(reinterpret_cast<const char*>(&value), sizeof(value));
}
void PutText(absl::string_view text, std::string& rows);

// Reads an answer from its beginning. What is cut off reads as 0 and "", and ok() is
// false from then on.
class RowReader {
 public:
  // `rows` outlives it, and what Text() answers with.
  explicit RowReader(absl::string_view rows) : rest_(rows) {}

  template <typename Number>
  Number Read() {
    static_assert(std::is_integral_v<Number>);
    Number value = 0;
    if (const absl::string_view bytes = Take(sizeof(value)); !bytes.empty()) {
      memcpy(&value, bytes.data(), sizeof(value));
    }
    return value;
  }
  absl::string_view Text();
  bool AtEnd() const { return rest_.empty() || !ok_; }
  bool ok() const { return ok_; }

 private:
  // Nothing where there is less.
  absl::string_view Take(size_t bytes);

  absl::string_view rest_;
  bool ok_ = true;
};

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_ROW_BINARY_H_
