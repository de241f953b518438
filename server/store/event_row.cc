// SPDX-License-Identifier: Apache-2.0
#include "server/store/event_row.h"

#include <algorithm>
#include <limits>

#include "server/store/schema.h"

namespace postern::server {
namespace {

// Sums of attempts must stay within 64 bits: 2^40 for 2^23 events at least.
constexpr uint64_t kMaxAttempts = uint64_t{1} << 40;

// The last instant is left to windows without an end, which exclude it.
int64_t Fit(uint64_t value) {
  return static_cast<int64_t>(
      std::min(value, static_cast<uint64_t>(std::numeric_limits<int64_t>::max() - 1)));
}

int SpanClass(int64_t span) {
  return static_cast<int>(std::lower_bound(kSpanBoundsNs.begin(), kSpanBoundsNs.end(), span) -
                          kSpanBoundsNs.begin());
}

}  // namespace

EventRow RowOf(const v1::Event& event) {
  EventRow row;
  row.kind = event.kind();
  row.time = Fit(event.time_ns());
  row.last_time = event.has_last_time_ns() ? Fit(event.last_time_ns()) : row.time;
  row.attempts = static_cast<int64_t>(std::min(event.repeats(), kMaxAttempts - 1) + 1);
  if (event.kind() == v1::Event::GAP) {
    if (event.gap().from_ns() != 0) row.time = Fit(event.gap().from_ns());
    if (event.gap().to_ns() != 0) row.last_time = Fit(event.gap().to_ns());
    row.attempts = static_cast<int64_t>(std::min(event.gap().count(), kMaxAttempts));
  }
  row.last_time = std::max(row.time, row.last_time);
  row.span = SpanClass(row.last_time - row.time);
  row.verdict = event.verdict();
  if (event.has_uid()) row.uid = event.uid();
  if (event.port() != 0) row.port = event.port();
  if (!event.destination().empty()) {
    absl::StatusOr<Address> destination = ParseAddress(event.destination());
    if (destination.ok()) row.destination = *destination;
  }
  return row;
}

}  // namespace postern::server
