// SPDX-License-Identifier: Apache-2.0
// One read-only connection to a store's file, and the questions it answers. For
// one thread at a time.
#ifndef POSTERN_SERVER_STORE_SQLITE_READER_H_
#define POSTERN_SERVER_STORE_SQLITE_READER_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/store/event_selection.h"
#include "server/store/event_store.h"
#include "server/store/sqlite.h"

namespace postern::server {

// Where a page ended: the next one begins right before it.
struct PageMark {
  int64_t time = std::numeric_limits<int64_t>::max();
  int64_t id = std::numeric_limits<int64_t>::max();
};

class SqliteReader {
 public:
  static absl::StatusOr<std::unique_ptr<SqliteReader>> Open(const std::string& path);

  // The newest events before `mark`, at most `limit`; moves `mark` to the last.
  // No statement stays open between pages: a reader that dawdles would keep the
  // log from being folded into the file.
  absl::StatusOr<std::vector<v1::Event>> FindPage(const EventFilter& filter, size_t limit,
                                                  const EventStore::Cancelled& cancelled,
                                                  PageMark& mark);
  absl::StatusOr<GroupPage> Group(const EventFilter& filter, const std::vector<GroupField>& fields,
                                  uint32_t limit, const EventStore::Cancelled& cancelled);
  absl::StatusOr<v1::Completeness> Complete(const EventFilter& filter, int64_t now);
  absl::StatusOr<std::vector<v1::Host>> Hosts(int64_t now);

 private:
  explicit SqliteReader(std::unique_ptr<Database> database) : database_(std::move(database)) {}

  // As a group's row shows it.
  absl::StatusOr<std::string> GroupValue(GroupField field, const Statement& row, int column);

  std::unique_ptr<Database> database_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_SQLITE_READER_H_
