// SPDX-License-Identifier: Apache-2.0
// One read-only connection to a partition, and what it answers. For one thread
// at a time.
#ifndef POSTERN_SERVER_STORE_PARTITION_READER_H_
#define POSTERN_SERVER_STORE_PARTITION_READER_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/event_selection.h"
#include "server/store/event_store.h"
#include "server/store/group_sums.h"
#include "server/store/partition.h"
#include "server/store/sqlite.h"

namespace postern::server {

// Where a page ended: the next one begins right before it.
struct PageMark {
  int64_t time = std::numeric_limits<int64_t>::max();
  int64_t partition = std::numeric_limits<int64_t>::max();
  int64_t id = std::numeric_limits<int64_t>::max();
};

// One source of a page, standing on its newest row that was not taken.
class EventCursor {
 public:
  // Where it stands.
  PageMark place() const { return {select_.Int(0), partition_, select_.Int(1)}; }
  absl::Status Read(v1::Event& event) const;
  // False: there are no more.
  absl::StatusOr<bool> Next() { return select_.Step(); }

 private:
  friend class PartitionReader;
  EventCursor(Statement select, int64_t partition)
      : select_(std::move(select)), partition_(partition) {}

  Statement select_;
  int64_t partition_;
};

// What completeness tells of a gap event.
struct RecordedGap {
  std::string host;
  v1::Gap gap;
};

class PartitionReader {
 public:
  static absl::StatusOr<std::unique_ptr<PartitionReader>> Open(const std::string& file,
                                                               const Partition& partition);

  // As the file has them now.
  absl::StatusOr<PartitionBounds> Bounds();

  // Of the sources that have an event before `mark`. They are to go before this
  // does, and before the questions that follow.
  absl::StatusOr<std::vector<EventCursor>> Cursors(const EventFilter& filter, const PageMark& mark);
  absl::Status Group(const EventFilter& filter, GroupSums& sums);
  // Gaps of `hosts` (empty: all) that touch the window.
  absl::Status Gaps(const std::vector<std::string>& hosts, const TimeWindow& window,
                    absl::FunctionRef<void(RecordedGap)> visit);

  Database& database() { return *database_; }
  PartitionState state() const { return state_; }

 private:
  PartitionReader(std::unique_ptr<Database> database, const Partition& partition)
      : database_(std::move(database)), number_(partition.number), state_(partition.state) {}

  std::unique_ptr<Database> database_;
  const int64_t number_;
  const PartitionState state_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_PARTITION_READER_H_
