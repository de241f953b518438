// SPDX-License-Identifier: Apache-2.0
// A partition: the events that arrived within some time, in a file of their own
// (CATALOG.d/NUMBER.db). Only the newest is written to.
#ifndef POSTERN_SERVER_STORE_PARTITION_H_
#define POSTERN_SERVER_STORE_PARTITION_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/store/event_filter.h"
#include "server/store/event_row.h"
#include "server/store/sqlite.h"

namespace postern::server {

// What lies in a partition, so that questions pass by those that cannot answer.
struct PartitionBounds {
  // The earliest beginning, the latest one, and the latest end (ns).
  int64_t first = std::numeric_limits<int64_t>::max();
  int64_t newest = 0;
  int64_t last = 0;
  // As `last`, but no event ends later than it arrived: clocks that run ahead
  // do not keep a partition from expiring.
  int64_t ended = 0;
  // Bit k: events of span class k.
  int64_t spans = 0;
  int64_t events = 0;
  // `events.id` up to which `summaries` tells.
  int64_t summarized = 0;

  void Add(const EventRow& row, int64_t now);
  // Whether they may be of what `other` was of, and of more that came later.
  bool Holds(const PartitionBounds& other) const;
  bool Touches(const TimeWindow& window) const {
    return events > 0 && first < window.until && last >= window.since;
  }
};

enum class PartitionState {
  // Its log may hold what the file does not; the newest one is written to.
  kOpen = 0,
  // One file that does not change any more.
  kSealed = 1,
  // Expired; its file goes.
  kDropped = 2,
  // Damaged or lost; what it held is missing.
  kSetAside = 3,
};

struct Partition {
  int64_t number = 0;
  PartitionState state = PartitionState::kOpen;
  // By the collector's clock (ns).
  int64_t created = 0;
  // Of an open one as of the last change of `first`; the file knows better.
  PartitionBounds bounds;
  // Of a sealed one.
  int64_t bytes = 0;
};

// The folder beside the catalog, and the files in it.
std::string PartitionFolder(const std::string& catalog);
std::string PartitionFile(const std::string& catalog, int64_t number);
// Both their owner's alone, whatever the umask; fine where they are there.
absl::Status MakePartitionFolder(const std::string& catalog);
absl::Status MakePrivateFile(const std::string& file);
// Numbers of the partitions that lie there, in order.
std::vector<int64_t> PartitionFilesOf(const std::string& catalog);
// Of the file and its log.
absl::Status RemovePartitionFile(const std::string& file);
// Renames the file and its log to FILE.damaged-N; answers with the new name.
absl::StatusOr<std::string> SetAsidePartitionFile(const std::string& file);
// The folder's entries reach the disk.
absl::Status SyncFolder(const std::string& folder);

// Makes the file where it is missing.
absl::StatusOr<std::unique_ptr<Database>> OpenPartitionToWrite(const std::string& file);
absl::StatusOr<std::unique_ptr<Database>> OpenPartitionToRead(const std::string& file,
                                                              PartitionState state);
absl::StatusOr<PartitionBounds> ReadBounds(Database& partition);

// kDataLoss when the file is damaged where SQLite can tell; looks for `limit` at
// most and takes what it did not come to for sound.
absl::Status CheckPartition(Database& partition, absl::Duration limit);
// Of a sealed partition's file without reading its rows: there, as long as it was, a
// database, and of the bounds that it was `listed` with.
absl::Status CheckSealed(const std::string& file, const Partition& listed);
// What no other partition begins with; "" while there are no events. A copy keeps it,
// whatever its name, and so does what it was copied from.
absl::StatusOr<std::string> FirstEventOf(Database& partition);

// Rows that are not in `summaries` yet are added; within the caller's transaction.
absl::Status Summarize(Database& partition, PartitionBounds& bounds);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_PARTITION_H_
