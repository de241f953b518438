// SPDX-License-Identifier: Apache-2.0
// The tables, and how a file of an older version becomes one of this.
// docs/store.md is their document.
#ifndef POSTERN_SERVER_STORE_SCHEMA_H_
#define POSTERN_SERVER_STORE_SCHEMA_H_

#include <array>
#include <cstdint>

#include "absl/status/status.h"
#include "server/store/sqlite.h"

namespace postern::server {

// In the file's user_version.
inline constexpr int64_t kSchemaVersion = 3;

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

// Makes an empty file a store, or brings an older one up to date, in one
// transaction. Refuses (kFailedPrecondition) files that are not ours or newer
// than kSchemaVersion, without changing them.
absl::Status PrepareSchema(Database& database);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_SCHEMA_H_
