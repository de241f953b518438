// SPDX-License-Identifier: Apache-2.0
// What SQLite does not tell: that a row is not what was written.
#ifndef POSTERN_COMMON_SQLITE_CRC_H_
#define POSTERN_COMMON_SQLITE_CRC_H_

#include <sqlite3.h>

namespace postern {

// Makes crc(values…) known to the SQL of `handle`: the CRC-32 of ITU-T V.42 over what
// the values are bound as. Answers with SQLite's code.
int AddCrcFunction(sqlite3* handle);

}  // namespace postern

#endif  // POSTERN_COMMON_SQLITE_CRC_H_
