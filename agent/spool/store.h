// SPDX-License-Identifier: Apache-2.0
// The spool's database with its statements prepared. Not thread-safe.
#ifndef POSTERN_AGENT_SPOOL_STORE_H_
#define POSTERN_AGENT_SPOOL_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/spool/database.h"
#include "agent/spool/format.h"

namespace postern::spool {

struct Row {
  int64_t id = 0;    // of the last position it stands for
  int64_t span = 1;  // positions it stands for
  uint64_t origin = 0;
  int64_t uid = kNoUid;
  Weight weight = Weight::kFixed;
  int64_t attempts = 1;
  int64_t time_ns = 0;
  int64_t last_ns = 0;
  int64_t stored_ns = 0;
  int64_t bytes = 0;
  absl::string_view event;
  // As they were written: all columns but id, span and event; the event.
  bool columns_intact = true;
  bool event_intact = true;
};

class Store {
 private:
  // Before the statements, which end before it does.
  std::unique_ptr<Database> database_;
  bool durable_ = false;

 public:
  // DataLoss where the file is damaged, of another version, or not a spool.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path);

  // Commits reach the disk before they return, or only the operating system.
  absl::Status SetDurable(bool durable);

  absl::Status Insert(const Row& row);

  // What the log adds to the file when it is written back, that of the open
  // transaction included.
  absl::StatusOr<int64_t> OwedBytes();

  Database& database() { return *database_; }

  // Bound anew by whoever uses them; named after what they yield or do.
  Statement insert;            // all columns of Row
  Statement remove;            // id
  Statement set_mark;          // boot, name, value
  Statement mark;              // boot, name → value; also of no boot
  Statement insert_epoch;      // ordinal, epoch, boot, last
  Statement set_last;          // last, ordinal
  Statement set_acknowledged;  // acknowledged, ordinal
  Statement epochs;            // → ordinal, epoch, boot, last, acknowledged; in order
  Statement sums;              // after id, to id → uid, weight, bytes, rows
  Statement oldest;            // after id, to id → last id, oldest time; NULL where none
  Statement from;              // after id, to id → columns of ReadRow(); in order
  Statement before;            // id → columns of ReadRow(); nearest first
  Statement by_origin;         // origin, boot → event, whether intact; newest first
  Statement victims;           // uid, weight, after id, limit → columns of ReadRow(); in order
  Statement expire;            // after id, to id, limit, stored before → bytes; deletes
  Statement move;              // after id, delta, after id, to id
  Statement size;              // → bytes of the file once the log is written back

  // The columns that `from`, `before` and `victims` yield. The event lives until
  // that statement's next call.
  static Row ReadRow(const Statement& statement);

 private:
  explicit Store(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  absl::Status PrepareAll();
};

}  // namespace postern::spool

#endif  // POSTERN_AGENT_SPOOL_STORE_H_
