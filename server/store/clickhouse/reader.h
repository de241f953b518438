// SPDX-License-Identifier: Apache-2.0
// What is asked of a ClickHouse store. One thread at a time.
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_READER_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/store/clickhouse/connection.h"
#include "server/store/clickhouse/event_rows.h"
#include "server/store/event_store.h"

namespace postern::server::clickhouse {

class Reader {
 public:
  static absl::StatusOr<std::unique_ptr<Reader>> Create(const ServerAddress& address);

  // Where a page ended; nothing before the first.
  using PageMark = std::optional<EventPlace>;
  struct Page {
    std::vector<v1::Event> events;
    bool last = false;
  };

  // The next about `size` events, newest first, each once, fewer where they are large.
  // `mark` moves to the last.
  absl::StatusOr<Page> FindPage(const EventFilter& filter, size_t size,
                                const EventStore::Cancelled& cancelled, PageMark& mark);
  absl::StatusOr<GroupPage> Group(const EventFilter& filter, const std::vector<GroupField>& fields,
                                  uint32_t limit, const EventStore::Cancelled& cancelled);
  absl::StatusOr<v1::Completeness> Complete(const EventFilter& filter, int64_t now);
  absl::StatusOr<std::vector<v1::Host>> Hosts(int64_t now);

 private:
  explicit Reader(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

  absl::StatusOr<std::string> Ask(const std::string& sql, const EventStore::Cancelled& cancelled,
                                  size_t max_answer_bytes);

  std::unique_ptr<Connection> connection_;
};

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_READER_H_
