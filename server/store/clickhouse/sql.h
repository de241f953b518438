// SPDX-License-Identifier: Apache-2.0
// Values as ClickHouse's SQL writes them. The servers that we speak to may be older
// than query parameters (19.14), so values are written out, in a way that leaves
// nothing to be interpreted.
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_SQL_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_SQL_H_

#include <string>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace postern::server::clickhouse {

// 'TEXT', in which all but letters, digits and a few harmless signs stand as \xNN.
std::string Quoted(absl::string_view text);

// "(VALUE,…)"; `values` is not empty.
template <typename Values>
std::string List(const Values& values) {
  std::string list = "(";
  for (const auto& value : values) {
    if (list.size() > 1) list += ',';
    if constexpr (std::is_integral_v<std::decay_t<decltype(value)>>) {
      absl::StrAppend(&list, value);
    } else {
      list += Quoted(value);
    }
  }
  return list + ")";
}

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_SQL_H_
