// SPDX-License-Identifier: Apache-2.0
// Texts that events repeat (paths, users, rules, units), each stored once. A
// name remembers until when events use it, so that retention can drop it after
// the last of them without counting references.
//
// On the store's thread, within its transaction.
#ifndef POSTERN_SERVER_STORE_NAME_TABLE_H_
#define POSTERN_SERVER_STORE_NAME_TABLE_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/store/sqlite.h"

namespace postern::server {

class NameTable {
 public:
  static absl::StatusOr<NameTable> Create(Database& database);

  // The name's id; it is in use at least until `last_time` (ns).
  absl::StatusOr<int64_t> Id(absl::string_view name, int64_t last_time);
  // What is remembered of the table may no longer be so: after a rollback, and
  // after names were dropped.
  void Forget();

 private:
  struct Entry {
    int64_t id;
    int64_t until;
  };

  explicit NameTable(Statement upsert) : upsert_(std::move(upsert)) {}

  Statement upsert_;
  absl::flat_hash_map<std::string, Entry> entries_;
  size_t entry_bytes_ = 0;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_NAME_TABLE_H_
