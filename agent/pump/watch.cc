// SPDX-License-Identifier: Apache-2.0
#include "agent/pump/watch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status.h"

namespace postern::pump {
namespace {

constexpr char kUntilMark[] = "watched/until";
// A sign of life costs a sync of the disk: rarely enough for that, often enough
// that a power cut does not put much in doubt.
constexpr absl::Duration kSignOfLife = absl::Minutes(1);

}  // namespace

Watch::Watch(spool::Spool& spool, std::string pins) : spool_(spool), pins_(std::move(pins)) {}

std::string Watch::PinsMark() const { return absl::StrCat("watched/", pins_); }

absl::Status Watch::Load(bool judging) {
  ASSIGN_OR_RETURN(const std::optional<uint64_t> until, spool_.FindMark(kUntilMark));
  ASSIGN_OR_RETURN(const std::optional<uint64_t> unbroken, spool_.FindMark(PinsMark()));
  until_ns_ = committed_ns_ = static_cast<int64_t>(until.value_or(0));
  committed_unbroken_ = unbroken.value_or(0) != 0;
  unbroken_ = committed_unbroken_ && judging;
  return absl::OkStatus();
}

void Watch::ClockSet(int64_t by_ns) {
  for (int64_t* const time_ns : {&observed_ns_, &until_ns_, &committed_ns_}) {
    // Clocks have been set to before 1970; 0 means never.
    if (*time_ns != 0) *time_ns = std::max<int64_t>(*time_ns + by_ns, 1);
  }
}

std::optional<v1::Event> Watch::Observe(bool judging, int64_t now_ns) {
  const bool was_unbroken = std::exchange(unbroken_, judging);
  if (!judging) return std::nullopt;
  observed_ns_ = now_ns;
  // Before the first start there was nothing to be whole.
  if (was_unbroken || until_ns_ == 0) return std::nullopt;
  v1::Event event;
  event.set_kind(v1::Event::GAP);
  // By the clock of another boot it may be later.
  event.set_time_ns(static_cast<uint64_t>(std::min(until_ns_, now_ns)));
  v1::Gap* gap = event.mutable_gap();
  gap->set_reason(v1::Gap::NOT_WATCHED);
  gap->set_from_ns(event.time_ns());
  gap->set_to_ns(static_cast<uint64_t>(now_ns));
  return event;
}

void Watch::Drained() {
  if (observed_ns_ != 0) until_ns_ = observed_ns_;
}

std::vector<spool::Mark> Watch::Marks() const {
  return {{kUntilMark, static_cast<uint64_t>(until_ns_), /*outlives_boot=*/true},
          {PinsMark(), unbroken_ ? uint64_t{1} : uint64_t{0}}};
}

bool Watch::Due() const {
  return unbroken_ != committed_unbroken_ ||
         absl::Nanoseconds(std::abs(until_ns_ - committed_ns_)) >= kSignOfLife;
}

void Watch::Committed() {
  committed_ns_ = until_ns_;
  committed_unbroken_ = unbroken_;
}

uint64_t Watch::not_watched_since_ns() const {
  if (unbroken_ && committed_unbroken_) return 0;
  return static_cast<uint64_t>(std::max<int64_t>(committed_ns_, 1));
}

}  // namespace postern::pump
