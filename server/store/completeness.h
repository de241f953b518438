// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_SERVER_STORE_COMPLETENESS_H_
#define POSTERN_SERVER_STORE_COMPLETENESS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "postern/v1/event.pb.h"
#include "postern/v1/ingest.pb.h"
#include "postern/v1/query.pb.h"
#include "server/store/event_filter.h"

namespace postern::server {

// Gaps that one answer lists at most, the newest; `missing` counts them all.
inline constexpr int kMaxGapsListed = 1'000;

struct KnownHost {
  std::string name;
  // When its record begins: first contact or first event, whichever is earlier.
  int64_t first = 0;
  int64_t last_seen = 0;
  bool connected = false;
  // 0: nothing.
  int64_t oldest_pending = 0;
  // 0: it is.
  int64_t not_watched = 0;
};

// What a store knows beside its events.
struct StoreState {
  // By name.
  std::vector<KnownHost> hosts;
  // Retention has dropped what ended before that; nullopt: nothing yet.
  std::optional<int64_t> expired;
  // Times, both ends included, of which events were lost with a damaged partition.
  std::vector<TimeWindow> damaged;
};

// Calls back with each GAP event that it knows of.
using GapVisitor = absl::FunctionRef<void(const std::string& host, v1::Gap gap)>;
using GapSource = absl::FunctionRef<absl::Status(GapVisitor visit)>;

// What is known to be missing from the record of `hosts` (empty: all) within
// `window`, as of `now` (ns). `recorded` tells the gaps of those hosts that touch
// the window.
//
// A host is silent when it was last heard of before the window's end (or now), unless it
// is connected and was heard of within the heartbeat's tolerance; and in a window that
// begins after `now`. Nothing is complete while no host is known, though none can be named
// then.
//
// Beside the gaps that agents tell of there are those of the collector's own making: the time
// before a host's first report (NOT_REPORTED), the time from which on it has events that have not
// arrived (NOT_ARRIVED) or does not judge (NOT_WATCHED: the agent's own GAP comes once it judges
// again), what was in a damaged partition (STORE_DAMAGED), and what lies behind the
// retention (EXPIRED) of the hosts known then, or of host "" where none of those is
// remembered. A window without a beginning asks for what there
// is: the first does not count unless the host came after the window's end, and the last never.
absl::StatusOr<v1::Completeness> CompletenessOf(const StoreState& state,
                                                const std::vector<std::string>& hosts,
                                                const TimeWindow& window, int64_t now,
                                                GapSource recorded);

// What a collector records where an agent's hello shows that something is missing from
// its host's record, between two times (ns).
v1::Event OwnGap(const v1::Hello& hello, v1::Gap::Reason reason, int64_t from, int64_t to);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_COMPLETENESS_H_
