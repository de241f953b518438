// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/server/sqlite_under_test.h"

namespace postern::server {

std::vector<StoreKind> StoresUnderTest() {
  return {{"Sqlite",
           []() -> std::unique_ptr<StoreUnderTest> { return std::make_unique<SqliteUnderTest>(); }},
          {"SqliteInPieces", []() -> std::unique_ptr<StoreUnderTest> {
             return std::make_unique<SqliteInPiecesUnderTest>();
           }}};
}

}  // namespace postern::server
