// SPDX-License-Identifier: Apache-2.0
// Events as rows of table `events`, in RowBinary.
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_EVENT_ROWS_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_EVENT_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "postern/v1/event.pb.h"
#include "server/store/clickhouse/row_binary.h"
#include "server/store/event_store.h"

namespace postern::server::clickhouse {

// What an insert names: the columns of EncodeRow() behind the day of arrival.
inline constexpr absl::string_view kEventColumns =
    "events (arrived, span, host, time, length, epoch, position, kind, verdict, attempts, uid, "
    "port, destination, user, exe, script, rule, unit, container, comm, traits, rest)";
// What ReadEvent() reads.
inline constexpr absl::string_view kReadColumns =
    "host, time, length, epoch, position, kind, attempts, port, destination, traits, rest";

// Tells an event from all others. Two rows that have it in common are one event that
// was stored twice.
struct EventPlace {
  std::string host;
  int64_t time = 0;
  uint64_t epoch = 0;
  uint64_t position = 0;

  friend bool operator==(const EventPlace&, const EventPlace&) = default;
};

// Appends the row of `event`, which is taken apart. Answers with its time.
int64_t EncodeRow(const std::string& host, uint64_t epoch, uint64_t position, v1::Event& event,
                  std::string& rows);
// Likewise of a position whose event is not stored; it is no answer to any question.
void EncodePlaceholder(const std::string& host, uint64_t epoch, uint64_t position, int64_t time,
                       std::string& rows);

// Of an event of the collectors' own, which belongs to no epoch (0): two of them that
// tell of the same thing are one.
uint64_t OwnPosition(const v1::Event& event);

// False for what cannot be read.
bool ReadEvent(RowReader& row, EventPlace& place, v1::Event& event);

// A batch as rows. Whoever brings it takes it apart, so that the one thread that writes
// has no more to do than to write.
class EncodedBatch {
 public:
  explicit EncodedBatch(EventBatch batch);

  const std::string& host() const { return host_; }
  uint64_t epoch() const { return epoch_; }
  uint64_t first_position() const { return first_position_; }
  uint64_t oldest_pending_ns() const { return oldest_pending_ns_; }
  size_t size() const { return ends_.size(); }
  size_t bytes() const { return rows_.size(); }

  // Of the event with that index; empty where it only holds a position.
  absl::string_view Row(size_t index) const;
  int64_t Time(size_t index) const { return times_[index]; }

 private:
  std::string host_;
  uint64_t epoch_;
  uint64_t first_position_;
  uint64_t oldest_pending_ns_;
  std::string rows_;
  std::vector<size_t> ends_;
  std::vector<int64_t> times_;
};

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_EVENT_ROWS_H_
