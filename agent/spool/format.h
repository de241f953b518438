// SPDX-License-Identifier: Apache-2.0
// What the spool's file looks like. docs/spool.md is its document.
#ifndef POSTERN_AGENT_SPOOL_FORMAT_H_
#define POSTERN_AGENT_SPOOL_FORMAT_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace postern::spool {

inline constexpr char kFileName[] = "spool.db";
// Its modification time says: all that was recorded before it has been delivered.
inline constexpr char kDeliveredFileName[] = "spool.delivered";

// Held for a full disk, on which deleting needs room too: what a deletion of
// kRowsAtOnce writes to the log, and twice a large turn of the pump, 2,048 records
// of two kilobytes: in the log, and in the file when it is written back.
inline constexpr char kReserveFileName[] = "spool.reserve";
inline constexpr int64_t kReserveBytes = int64_t{16} << 20;
inline constexpr int64_t kDeletionBytes = int64_t{4} << 20;

// A file that is shorter is none: SQLite's smallest page.
inline constexpr int64_t kSmallestFile = 512;

// Marks of no boot: they outlive each.
inline constexpr absl::string_view kNoBoot = "";
// When the oldest event happened that counts as acknowledged because nobody
// collects, in ns; 0: there is none that a GAP does not stand for.
inline constexpr absl::string_view kLocalSinceMark = "local/since";

// What a collector acknowledged last, in whichever epoch.
inline constexpr absl::string_view kDeliveredEpochMark = "delivered/epoch";
inline constexpr absl::string_view kDeliveredPositionMark = "delivered/position";

// "PSTN", at a fixed place in every SQLite file (PRAGMA application_id).
inline constexpr int64_t kApplicationId = 0x5053544e;
// Of the schema (PRAGMA user_version). A file of another version is set aside.
inline constexpr int64_t kVersion = 2;

// id of an event: the ordinal of its epoch, shifted, plus its position. So the
// table is in the order of delivery, and one range of ids is one range of
// positions. 2^40 positions are 34 years at 1,000 events a second.
inline constexpr int kPositionBits = 40;
inline constexpr int64_t kPositionMask = (int64_t{1} << kPositionBits) - 1;

// More positions than this are not missing one by one: what says so is damaged.
inline constexpr uint64_t kMostMissing = uint64_t{1} << 20;

// Acknowledged events stay this long, for the repeats that refer to them.
inline constexpr absl::Duration kKeepAcknowledged = absl::Minutes(10);

// The same where nobody collects: the spool is then the only record that can be
// asked. No longer than its size allows: acknowledged events go first.
inline constexpr absl::Duration kKeepUncollected = absl::Hours(31 * 24);

// What a row takes in the file beside its event: columns, both indexes, its share
// of half-filled pages.
inline constexpr int64_t kRowOverheadBytes = 96;

// Rows deleted or evicted by one statement; bounds the time a reader waits.
inline constexpr int64_t kRowsAtOnce = 512;

// A spool that is full is emptied down to this share of its size, so that one
// eviction serves many appends.
inline constexpr double kLowWater = 0.94;

// Who evicts first: lower goes before higher, kFixed never.
enum class Weight : int64_t {
  kTombstone = 0,  // stands for evicted events
  kAllowed = 1,
  kDenied = 2,
  kFixed = 3,  // gaps, changes of policy
};
inline constexpr int64_t kNoUid = -1;

inline constexpr char kSchema[] = R"sql(
CREATE TABLE epochs(
  ordinal INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL UNIQUE,
  boot TEXT NOT NULL,
  last INTEGER NOT NULL,
  acknowledged INTEGER NOT NULL,
  crc INTEGER NOT NULL
);
CREATE TABLE events(
  id INTEGER PRIMARY KEY,
  span INTEGER NOT NULL,
  origin INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  weight INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  time_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL,
  stored_ns INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  event BLOB NOT NULL,
  crc INTEGER NOT NULL
);
CREATE INDEX events_origin ON events(origin) WHERE origin > 0;
CREATE INDEX events_share ON events(uid, weight) WHERE weight BETWEEN 1 AND 2;
CREATE TABLE marks(
  boot TEXT NOT NULL,
  name TEXT NOT NULL,
  value INTEGER NOT NULL,
  crc INTEGER NOT NULL,
  PRIMARY KEY(boot, name)
) WITHOUT ROWID;
)sql";

}  // namespace postern::spool

#endif  // POSTERN_AGENT_SPOOL_FORMAT_H_
