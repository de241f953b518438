// SPDX-License-Identifier: Apache-2.0
#include "agent/pump/clock_watch.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status.h"

namespace postern::pump {
namespace {

// Of one boot; the first number is signed.
constexpr char kOffsetMark[] = "clock/offset";
constexpr char kSureMark[] = "clock/sure";
// Outlives it.
constexpr char kBeganMark[] = "clock/began";

// As often as an agent and its collector hear from each other at least.
constexpr int64_t kTellEveryNs = 60'000'000'000;

// Both clocks are slewed alike (adjtimex(2)): only what sets the wall clock parts them,
// and reading the two of them one after the other.
constexpr int64_t kStepNs = 100'000'000;

// By the wall clock; both ends belong to it.
struct Interval {
  int64_t from_ns;
  int64_t to_ns;
};

bool Touch(const Interval& a, const Interval& b) {
  return a.from_ns <= b.to_ns && b.from_ns <= a.to_ns;
}

Interval Hull(const Interval& a, const Interval& b) {
  return {std::min(a.from_ns, b.from_ns), std::max(a.to_ns, b.to_ns)};
}

// Clocks have been set to before 1970.
uint64_t Unsigned(int64_t time_ns) { return static_cast<uint64_t>(std::max<int64_t>(time_ns, 1)); }

v1::Event GapOver(const Interval& interval) {
  v1::Event event;
  event.set_kind(v1::Event::GAP);
  event.set_time_ns(Unsigned(interval.from_ns));
  v1::Gap* gap = event.mutable_gap();
  gap->set_reason(v1::Gap::CLOCK_SET);
  gap->set_from_ns(event.time_ns());
  gap->set_to_ns(Unsigned(interval.to_ns));
  return event;
}

v1::Event StepAt(int64_t now_ns, int64_t by_ns) {
  v1::Event event;
  event.set_kind(v1::Event::CLOCK_STEP);
  event.set_time_ns(Unsigned(std::min(now_ns, now_ns - by_ns)));
  event.set_last_time_ns(Unsigned(std::max(now_ns, now_ns - by_ns)));
  event.set_message(absl::StrCat(
      "the clock was set ", by_ns < 0 ? "back" : "forward", " by ",
      absl::FormatDuration(absl::Milliseconds((std::abs(by_ns) + 500'000) / 1'000'000))));
  return event;
}

}  // namespace

ClockWatch::ClockWatch(spool::Spool& spool, std::function<int64_t()> boot_to_wall,
                       std::function<int64_t()> boot_now)
    : spool_(spool),
      boot_to_wall_(std::move(boot_to_wall)),
      boot_now_(std::move(boot_now)),
      offset_ns_(boot_to_wall_()) {}

absl::Status ClockWatch::Load(int64_t watched_until_ns) {
  ASSIGN_OR_RETURN(const std::optional<uint64_t> offset, spool_.FindMark(kOffsetMark));
  ASSIGN_OR_RETURN(const std::optional<uint64_t> sure, spool_.FindMark(kSureMark));
  if (offset.has_value()) offset_ns_ = static_cast<int64_t>(*offset);
  sure_ns_ = static_cast<int64_t>(sure.value_or(0));
  ASSIGN_OR_RETURN(const std::optional<uint64_t> began, spool_.FindMark(kBeganMark));
  began_ns_ = began.has_value() ? static_cast<int64_t>(*began) : boot_now_() + offset_ns_;
  watched_until_ns_ = watched_until_ns;
  return absl::OkStatus();
}

void ClockWatch::Agreed(int64_t boot_ns) {
  agreed_ns_ = std::max(agreed_ns_, boot_ns);
  differed_ns_ = 0;
}

void ClockWatch::Differed(int64_t boot_ns, int64_t ahead_ns) {
  differed_ns_ = boot_ns;
  ahead_ns_ = ahead_ns;
}

std::vector<v1::Event> ClockWatch::Observe() {
  const int64_t offset_ns = boot_to_wall_();
  const int64_t before_ns = std::exchange(offset_ns_, offset_ns);
  const int64_t by_ns = offset_ns - before_ns;
  const int64_t agreed_ns = std::exchange(agreed_ns_, 0);
  if (std::abs(by_ns) < kStepNs) {
    // Not set since, whichever of them came first.
    sure_ns_ = std::max(sure_ns_, agreed_ns);
    return TellDifference();
  }
  const int64_t now_ns = boot_now_();
  std::vector<v1::Event> events = {StepAt(now_ns + offset_ns, by_ns)};
  const bool large = std::abs(by_ns) >= kClocksAgreeNs;
  const int64_t since_ns = large ? sure_ns_ : std::max(sure_ns_, now_ns - kClocksAgreeNs);
  for (v1::Event& gap : Doubts(since_ns, now_ns, before_ns, by_ns)) {
    events.push_back(std::move(gap));
  }
  // Many small ones may add up.
  if (large) sure_ns_ = now_ns;
  // Of the clock as it was.
  differed_ns_ = told_ns_ = 0;
  return events;
}

std::vector<v1::Event> ClockWatch::TellDifference() {
  const int64_t differed_ns = std::exchange(differed_ns_, 0);
  const bool told = told_ns_ > sure_ns_;
  if (differed_ns <= sure_ns_ || (told && differed_ns < told_ns_)) return {};
  const int64_t since_ns = told ? told_ns_ : sure_ns_;
  // Up to when it is told again.
  told_ns_ = differed_ns + kTellEveryNs;
  return Doubts(since_ns, told_ns_, offset_ns_, -ahead_ns_);
}

std::vector<v1::Event> ClockWatch::Doubts(int64_t since_ns, int64_t now_ns, int64_t offset_ns,
                                          int64_t by_ns) {
  Interval one{since_ns + offset_ns, now_ns + offset_ns};
  Interval other{one.from_ns + by_ns, one.to_ns + by_ns};
  if (since_ns == 0) {
    began_ns_ = std::min(began_ns_, other.to_ns);
    if (watched_until_ns_ == 0) {
      // What the first agent recorded by a clock that was behind.
      one.to_ns = std::max(one.to_ns, other.from_ns);
    } else {
      // By a clock that may have been wrong since boot nobody knows either how long the
      // machine was off.
      other.from_ns = std::min(other.from_ns, watched_until_ns_);
    }
  }
  // Before the first agent an event must not look like the beginning of the record.
  for (Interval* const interval : {&one, &other}) {
    if (interval->from_ns < began_ns_) interval->to_ns = std::max(interval->to_ns, began_ns_);
  }
  if (Touch(one, other)) return {GapOver(Hull(one, other))};
  return {GapOver(one), GapOver(other)};
}

std::vector<spool::Mark> ClockWatch::Marks() const {
  return {{kOffsetMark, static_cast<uint64_t>(offset_ns_)},
          {kSureMark, static_cast<uint64_t>(sure_ns_)},
          {kBeganMark, static_cast<uint64_t>(began_ns_), /*outlives_boot=*/true}};
}

}  // namespace postern::pump
