// SPDX-License-Identifier: Apache-2.0
// Read-only connections to a store's catalog and partitions, and the questions
// they answer together. For one thread at a time.
#ifndef POSTERN_SERVER_STORE_SQLITE_READER_H_
#define POSTERN_SERVER_STORE_SQLITE_READER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/event_store.h"
#include "server/store/group_sums.h"
#include "server/store/partition_reader.h"
#include "server/store/sqlite.h"

namespace postern::server {

class SqliteReader {
 public:
  // `path` is the catalog's. `max_group_bytes`: see GroupSums.
  static absl::StatusOr<std::unique_ptr<SqliteReader>> Open(
      const std::string& path, size_t max_group_bytes = GroupSums::kMaxBytes);

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

  // No host is connected, whatever the catalog says: whoever wrote that is gone.
  void ForgetConnections() { connections_forgotten_ = true; }

  // The partition in which a question that failed with kDataLoss found damage.
  std::optional<int64_t> damaged() const { return damaged_; }

 private:
  // A partition that may hold what is asked for.
  using Candidate = Partition;

  SqliteReader(std::string path, std::unique_ptr<Database> catalog, size_t max_group_bytes)
      : path_(std::move(path)), catalog_(std::move(catalog)), max_group_bytes_(max_group_bytes) {}

  // By the latest beginning of their events, newest first.
  absl::StatusOr<std::vector<Candidate>> CandidatesFor(const TimeWindow& window);
  // Nullptr: it was dropped meanwhile.
  absl::StatusOr<PartitionReader*> ReaderOf(const Partition& partition);
  absl::StatusOr<bool> IsListed(const Partition& partition);
  // Remembers where the damage is.
  absl::Status Told(int64_t number, absl::Status status);
  absl::Status ForEach(const std::vector<Candidate>& candidates,
                       absl::FunctionRef<absl::Status(PartitionReader&)> ask);

  const std::string path_;
  std::unique_ptr<Database> catalog_;
  const size_t max_group_bytes_;
  std::map<int64_t, std::unique_ptr<PartitionReader>> readers_;
  std::optional<int64_t> damaged_;
  bool connections_forgotten_ = false;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_SQLITE_READER_H_
