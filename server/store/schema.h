// SPDX-License-Identifier: Apache-2.0
// The tables of the catalog and of a partition, and how a catalog of an older
// version becomes one of this. docs/store.md is their document.
#ifndef POSTERN_SERVER_STORE_SCHEMA_H_
#define POSTERN_SERVER_STORE_SCHEMA_H_

#include <array>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "server/store/sqlite.h"

namespace postern::server {

// In the file's user_version.
inline constexpr int64_t kSchemaVersion = 3;
inline constexpr int64_t kPartitionVersion = 1;

// An event stands for an interval, [time, last_time]. To find those that reach
// into a window by one range of an index, events are kept apart by the length
// of theirs: those of span class k are at most kSpanBoundsNs[k] long, so none
// of them begins earlier than that before the window. The last class is
// unbounded.
inline constexpr std::array<int64_t, 5> kSpanBoundsNs = {
    60'000'000'000,           // a minute: nearly all
    16 * 60'000'000'000,      // a quarter of an hour
    256 * 60'000'000'000,     // hours
    4'096 * 60'000'000'000,   // days
    65'536 * 60'000'000'000,  // weeks
};
inline constexpr int kSpanClasses = static_cast<int>(kSpanBoundsNs.size()) + 1;

// What one row of table `summaries` sums up.
inline constexpr int64_t kSummaryNs = 3'600'000'000'000;

// Makes an empty file a catalog, or brings an older one up to date. Up to
// version 2 the catalog held the events too: `move_events` copies them to
// partitions before their tables are dropped; when it did not come to its end it
// is called again at the next start. Refuses (kFailedPrecondition) files that are
// not ours or newer than kSchemaVersion, without changing them.
absl::Status PrepareCatalog(Database& database, absl::FunctionRef<absl::Status()> move_events);

// Whether a row is what was written: an event `e`, its host `h` and its traits `t`.
inline constexpr char kSoundEvent[] =
    "e.crc = crc(e.host, e.span, e.time, e.length, e.kind, e.attempts, e.verdict, e.port, "
    "e.destination, e.traits, e.body)";
inline constexpr char kSoundHost[] = "h.crc = crc(h.host, h.first_event)";
inline constexpr char kSoundTraits[] =
    "t.crc = crc(t.hash, t.uid, t.user, t.exe, t.script, t.rule, t.unit, t.container, t.comm, "
    "t.body)";

// Makes an empty file a partition. Refuses what is none, or a newer one.
absl::Status PreparePartition(Database& database);
// kDataLoss where a partition's tables are not those of kPartitionVersion: a flipped
// bit in what describes them makes others of them.
absl::Status CheckPartitionTables(Database& database);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_SCHEMA_H_
