// SPDX-License-Identifier: Apache-2.0
// Begins, seals, drops and sets aside partitions. On the store's thread, outside
// of its transactions.
//
// What a crash leaves at each step is listed in docs/store.md, "Order of commits".
#ifndef POSTERN_SERVER_STORE_PARTITIONS_H_
#define POSTERN_SERVER_STORE_PARTITIONS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/store/partition.h"
#include "server/store/partition_writer.h"
#include "server/store/sqlite.h"

namespace postern::server {

struct PartitionLimits {
  // A new partition begins after this time, or this many events.
  absl::Duration length = absl::Hours(24);
  int64_t events = 20'000'000;
};

class Partitions {
 public:
  // `catalog` outlives it, with its schema prepared. Takes in what lies in the
  // folder, sets aside what is damaged, and makes the catalog's what an unclean end
  // left in the newest partition alone.
  static absl::StatusOr<std::unique_ptr<Partitions>> Open(Database& catalog, std::string path,
                                                          PartitionLimits limits, int64_t now);

  // The partition to write to, a new one where there is none or its time is over.
  absl::StatusOr<PartitionWriter*> Current(int64_t now);
  // Nullptr: there is none.
  PartitionWriter* current() { return writer_.get(); }
  // As the catalog is to know it once the writer has committed.
  const Partition& AsWritten();
  // Whether the catalog's knowledge of the current one has to follow it.
  bool FirstMoved() const { return writer_ && writer_->bounds().first < known_first_; }

  // The current partition ends when its time is over; what has ended is sealed.
  absl::Status Maintain(int64_t now);
  // Drops partitions all of whose events ended before `cutoff` (ns).
  absl::Status DropExpired(int64_t cutoff);
  // Damaged: no question reads it any more, and completeness tells what is missing.
  absl::Status SetAside(int64_t number, absl::string_view why, int64_t now);
  // After an error of the current one: sets it aside when it is damaged.
  absl::Status ExamineCurrent(int64_t now);

 private:
  Partitions(Database& catalog, std::string path, PartitionLimits limits)
      : catalog_(catalog), path_(std::move(path)), limits_(limits) {}

  absl::Status TakeIn(int64_t now);
  absl::Status CheckAll(int64_t now);
  absl::Status CheckOpen(const Partition& partition);
  // After the writer is opened: it is what is listed, not another's file under its name.
  absl::Status CheckIsItself(const Partition& listed);
  // The file of another partition that begins with the same event; "" for none. Within
  // Open().
  absl::StatusOr<std::string> OriginalOf(int64_t number);
  absl::Status Begin(int64_t now);
  absl::Status End();
  absl::Status Seal(Partition partition);

  Database& catalog_;
  const std::string path_;
  const PartitionLimits limits_;
  std::unique_ptr<PartitionWriter> writer_;
  // Of writer_.
  Partition written_;
  int64_t known_first_ = 0;
  // Partitions by their first events, once one was asked about.
  std::optional<std::map<std::string, int64_t>> began_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_PARTITIONS_H_
