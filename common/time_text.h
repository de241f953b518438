// SPDX-License-Identifier: Apache-2.0
// Times and durations as people and programs write and read them. A time is a
// number of nanoseconds since the epoch, UTC, as in the protocol buffers.
//
// Pure functions, safe from any thread. Errors are InvalidArgument: one line
// with the text that was refused and an example of what is accepted.
#ifndef POSTERN_COMMON_TIME_TEXT_H_
#define POSTERN_COMMON_TIME_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace postern {

enum class Zone {
  kUtc,
  kLocal,  // TZ, else /etc/localtime
};

// RFC 3339 in UTC with all nine digits: "2026-03-01T14:30:00.000000001Z".
std::string FormatTime(uint64_t time_ns);

// For tables, to the second: "2026-03-01 14:30:00". Which zone that is, a
// heading must say: ZoneName().
std::string FormatShortTime(uint64_t time_ns, Zone zone);

// "UTC", or the abbreviation in use at `time_ns` ("CET", "+03").
std::string ZoneName(Zone zone, uint64_t time_ns);

// The two largest units: "45s", "1m30s", "2h5m", "3d4h"; below a second "500ms", or "0s".
std::string FormatDuration(uint64_t duration_ns);

// ISO 8601 with T or a space, to the day, minute, second or a fraction of it,
// with a zone (Z, UTC, GMT, +02:00, +0200, +02) or without (UTC); "now"; and what lies
// before `now_ns`: "-2h", "-1d12h". Refused where it is before 1970 or after 2261.
absl::StatusOr<uint64_t> ParseTime(absl::string_view text, uint64_t now_ns);

// "15m", "1h30m", "90d": whole numbers, each with one of ms, s, m, h, d, w.
absl::StatusOr<uint64_t> ParseDuration(absl::string_view text);

}  // namespace postern

#endif  // POSTERN_COMMON_TIME_TEXT_H_
