// SPDX-License-Identifier: Apache-2.0
#include "common/time_text.h"

#include <array>
#include <limits>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace postern {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kMinute = 60 * kSecond;
constexpr uint64_t kHour = 60 * kMinute;
constexpr uint64_t kDay = 24 * kHour;
// What fits 64 signed bits as well: 2262-04-11.
constexpr uint64_t kLatest = std::numeric_limits<int64_t>::max();

struct Unit {
  absl::string_view name;
  uint64_t ns;
};

constexpr std::array<Unit, 6> kUnits = {{{"ms", kSecond / 1000},
                                         {"s", kSecond},
                                         {"m", kMinute},
                                         {"h", kHour},
                                         {"d", kDay},
                                         {"w", 7 * kDay}}};

absl::Time ToAbsl(uint64_t time_ns) {
  return absl::FromUnixSeconds(static_cast<int64_t>(time_ns / kSecond)) +
         absl::Nanoseconds(time_ns % kSecond);
}

absl::TimeZone ToAbsl(Zone zone) {
  return zone == Zone::kLocal ? absl::LocalTimeZone() : absl::UTCTimeZone();
}

// Takes what it recognizes from the front of a text.
class Scanner {
 public:
  explicit Scanner(absl::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }

  bool Take(absl::string_view prefix) { return absl::ConsumePrefix(&rest_, prefix); }

  bool TakeAnyCase(absl::string_view prefix) {
    if (!absl::StartsWithIgnoreCase(rest_, prefix)) return false;
    rest_.remove_prefix(prefix.size());
    return true;
  }

  // Exactly `digits` digits, with a value from `low` to `high`.
  std::optional<int> TakeNumber(size_t digits, int low, int high) {
    if (rest_.size() < digits) return std::nullopt;
    int value = 0;
    for (char c : rest_.substr(0, digits)) {
      if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
      value = value * 10 + (c - '0');
    }
    if (value < low || value > high) return std::nullopt;
    rest_.remove_prefix(digits);
    return value;
  }

  // The digits of a fraction of a second; those past nanoseconds are dropped.
  std::optional<uint64_t> TakeFraction() {
    uint64_t value = 0;
    uint64_t scale = kSecond;
    bool any = false;
    while (!rest_.empty() && absl::ascii_isdigit(static_cast<unsigned char>(rest_[0]))) {
      any = true;
      scale /= 10;
      value += static_cast<uint64_t>(rest_[0] - '0') * scale;
      rest_.remove_prefix(1);
    }
    return any ? std::optional(value) : std::nullopt;
  }

 private:
  absl::string_view rest_;
};

// Seconds east of UTC; an empty rest is UTC.
std::optional<int64_t> ScanZone(Scanner& scanner) {
  scanner.Take(" ");
  if (scanner.done() || scanner.TakeAnyCase("UTC") || scanner.TakeAnyCase("GMT") ||
      scanner.TakeAnyCase("Z")) {
    return 0;
  }
  const bool west = scanner.Take("-");
  if (!west && !scanner.Take("+")) return std::nullopt;
  const std::optional<int> hours = scanner.TakeNumber(2, 0, 14);
  if (!hours) return std::nullopt;
  int minutes = 0;
  if (!scanner.done()) {
    scanner.Take(":");
    const std::optional<int> given = scanner.TakeNumber(2, 0, 59);
    if (!given) return std::nullopt;
    minutes = *given;
  }
  const int64_t offset = *hours * 3600 + minutes * 60;
  return west ? -offset : offset;
}

std::optional<absl::Time> ParseIso8601(absl::string_view text) {
  Scanner scanner(text);
  const std::optional<int> year = scanner.TakeNumber(4, 0, 9999);
  if (!year || !scanner.Take("-")) return std::nullopt;
  const std::optional<int> month = scanner.TakeNumber(2, 1, 12);
  if (!month || !scanner.Take("-")) return std::nullopt;
  const std::optional<int> day = scanner.TakeNumber(2, 1, 31);
  if (!day) return std::nullopt;
  // Civil time turns the 30th of February into a day of March.
  if (absl::CivilDay(*year, *month, *day).day() != *day) return std::nullopt;

  int hour = 0;
  int minute = 0;
  int second = 0;
  uint64_t fraction = 0;
  int64_t offset = 0;
  if (!scanner.done()) {
    if (!scanner.TakeAnyCase("T") && !scanner.Take(" ")) return std::nullopt;
    const std::optional<int> hours = scanner.TakeNumber(2, 0, 23);
    if (!hours || !scanner.Take(":")) return std::nullopt;
    const std::optional<int> minutes = scanner.TakeNumber(2, 0, 59);
    if (!minutes) return std::nullopt;
    hour = *hours;
    minute = *minutes;
    if (scanner.Take(":")) {
      const std::optional<int> seconds = scanner.TakeNumber(2, 0, 60);
      if (!seconds) return std::nullopt;
      second = *seconds;
      if (scanner.Take(".") || scanner.Take(",")) {
        const std::optional<uint64_t> digits = scanner.TakeFraction();
        if (!digits) return std::nullopt;
        fraction = *digits;
      }
    }
    const std::optional<int64_t> zone = ScanZone(scanner);
    if (!zone || !scanner.done()) return std::nullopt;
    offset = *zone;
  }
  const absl::CivilSecond civil(*year, *month, *day, hour, minute, second);
  return absl::FromUnixSeconds((civil - absl::CivilSecond(1970)) - offset) +
         absl::Nanoseconds(fraction);
}

std::optional<uint64_t> ScanDuration(absl::string_view text) {
  if (text.empty()) return std::nullopt;
  uint64_t total = 0;
  while (!text.empty()) {
    uint64_t number = 0;
    size_t digits = 0;
    while (digits < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[digits]))) {
      number = number * 10 + static_cast<uint64_t>(text[digits] - '0');
      if (number > kLatest) return std::nullopt;
      ++digits;
    }
    if (digits == 0) return std::nullopt;
    text.remove_prefix(digits);
    uint64_t unit_ns = 0;
    for (const Unit& unit : kUnits) {
      if (absl::ConsumePrefix(&text, unit.name)) {
        unit_ns = unit.ns;
        break;
      }
    }
    if (unit_ns == 0 || number > (kLatest - total) / unit_ns) return std::nullopt;
    total += number * unit_ns;
  }
  return total;
}

}  // namespace

std::string FormatTime(uint64_t time_ns) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E9SZ", ToAbsl(time_ns), absl::UTCTimeZone());
}

std::string FormatShortTime(uint64_t time_ns, Zone zone) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", ToAbsl(time_ns), ToAbsl(zone));
}

std::string ZoneName(Zone zone, uint64_t time_ns) {
  return absl::FormatTime("%Z", ToAbsl(time_ns), ToAbsl(zone));
}

std::string FormatDuration(uint64_t duration_ns) {
  constexpr std::array<Unit, 4> kShown = {
      {{"d", kDay}, {"h", kHour}, {"m", kMinute}, {"s", kSecond}}};
  for (size_t i = 0; i < kShown.size(); ++i) {
    const uint64_t count = duration_ns / kShown[i].ns;
    if (count == 0) continue;
    std::string text = absl::StrCat(count, kShown[i].name);
    if (i + 1 < kShown.size()) {
      const uint64_t rest = duration_ns % kShown[i].ns / kShown[i + 1].ns;
      if (rest > 0) absl::StrAppend(&text, rest, kShown[i + 1].name);
    }
    return text;
  }
  const uint64_t ms = duration_ns / (kSecond / 1000);
  return ms == 0 ? "0s" : absl::StrCat(ms, "ms");
}

absl::StatusOr<uint64_t> ParseTime(absl::string_view text, uint64_t now_ns) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  if (absl::EqualsIgnoreCase(trimmed, "now")) return now_ns;
  std::optional<absl::Time> time;
  if (absl::StartsWith(trimmed, "-")) {
    const std::optional<uint64_t> back = ScanDuration(trimmed.substr(1));
    if (back) time = ToAbsl(now_ns) - absl::Nanoseconds(*back);
  } else {
    time = ParseIso8601(trimmed);
  }
  if (!time) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text,
                     "\" is not a time; write it like 2026-03-01T14:30:00Z, \"2026-03-01 14:30\" "
                     "(UTC), 2026-03-01, -2h or now"));
  }
  if (*time < absl::UnixEpoch()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is before 1970, where time begins here; name a later one"));
  }
  if (*time >= ToAbsl(kLatest / kSecond * kSecond)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is after 2261, where time ends here; name an earlier one"));
  }
  return static_cast<uint64_t>(absl::ToUnixNanos(*time));
}

absl::StatusOr<uint64_t> ParseDuration(absl::string_view text) {
  const std::optional<uint64_t> duration = ScanDuration(absl::StripAsciiWhitespace(text));
  if (!duration) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not a duration; write it like 15m, 1h30m or 7d"));
  }
  return *duration;
}

}  // namespace postern
