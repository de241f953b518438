// SPDX-License-Identifier: Apache-2.0
#include "common/sqlite_crc.h"

#include <zlib.h>

#include <cstddef>

namespace postern {
namespace {

// Each value's type, size and bytes count, so that none can take another's place.
void Crc(sqlite3_context* context, int count, sqlite3_value** values) {
  uLong crc = crc32(0, nullptr, 0);
  const auto add = [&crc](const void* bytes, size_t size) {
    crc = crc32_z(crc, static_cast<const Bytef*>(bytes), size);
  };
  for (int i = 0; i < count; ++i) {
    const int type = sqlite3_value_type(values[i]);
    add(&type, sizeof(type));
    if (type == SQLITE_INTEGER) {
      const sqlite3_int64 number = sqlite3_value_int64(values[i]);
      add(&number, sizeof(number));
    } else {
      const void* bytes = sqlite3_value_blob(values[i]);
      const int size = sqlite3_value_bytes(values[i]);
      add(&size, sizeof(size));
      if (size > 0) add(bytes, static_cast<size_t>(size));
    }
  }
  sqlite3_result_int64(context, static_cast<sqlite3_int64>(crc));
}

}  // namespace

int AddCrcFunction(sqlite3* handle) {
  return sqlite3_create_function_v2(handle, "crc", /*nArg=*/-1,
                                    SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, nullptr,
                                    &Crc, nullptr, nullptr, nullptr);
}

}  // namespace postern
