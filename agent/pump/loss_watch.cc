// SPDX-License-Identifier: Apache-2.0
#include "agent/pump/loss_watch.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::pump {
namespace {

struct Kind {
  postern_counter counter;
  postern_counter told;
  v1::Gap::Reason reason;
};
constexpr Kind kKindsOfLoss[] = {
    {POSTERN_COUNTER_LOST_DENIED, POSTERN_COUNTER_TOLD_DENIED, v1::Gap::RING_DENIED_FULL},
    {POSTERN_COUNTER_LOST_OTHER, POSTERN_COUNTER_TOLD_OTHER, v1::Gap::RING_OTHER_FULL},
    {POSTERN_COUNTER_LOST_REPEATS, POSTERN_COUNTER_TOLD_REPEATS, v1::Gap::REPEATS_FULL},
};

}  // namespace

uint64_t LostIn(const Counters& counters) {
  uint64_t lost = 0;
  for (const Kind& kind : kKindsOfLoss) lost += counters[kind.counter];
  return lost;
}

LossWatch::LossWatch(spool::Spool& spool, std::string pins, int64_t since_ns)
    : spool_(spool), pins_(std::move(pins)), observed_ns_(since_ns) {
  static_assert(std::size(kKindsOfLoss) == kKinds);
}

std::string LossWatch::MarkName(size_t kind) const {
  return absl::StrCat("lost/", pins_, "/", static_cast<int>(kKindsOfLoss[kind].counter));
}

absl::Status LossWatch::Load(const Counters& counters) {
  for (size_t kind = 0; kind < kKinds; ++kind) {
    ASSIGN_OR_RETURN(const std::optional<uint64_t> mark, spool_.FindMark(MarkName(kind)));
    reported_[kind] = std::max(mark.value_or(0), counters[kKindsOfLoss[kind].told]);
  }
  ASSIGN_OR_RETURN(const std::optional<uint64_t> observed,
                   spool_.FindMark(absl::StrCat("lost/", pins_, "/observed")));
  observed_ns_ = std::max({observed_ns_, static_cast<int64_t>(observed.value_or(0)),
                           static_cast<int64_t>(counters[POSTERN_COUNTER_TOLD_UNTIL])});
  return absl::OkStatus();
}

std::vector<v1::Event> LossWatch::Observe(const Counters& counters, int64_t now_ns) {
  std::vector<v1::Event> gaps;
  // Clocks are set back: what was lost meanwhile may have happened by either.
  const auto from_ns = static_cast<uint64_t>(std::min(observed_ns_, now_ns));
  const auto to_ns = static_cast<uint64_t>(std::max(observed_ns_, now_ns));
  for (size_t kind = 0; kind < kKinds; ++kind) {
    const uint64_t lost = counters[kKindsOfLoss[kind].counter];
    if (lost <= reported_[kind]) continue;
    v1::Event event;
    event.set_kind(v1::Event::GAP);
    event.set_time_ns(from_ns);
    v1::Gap* gap = event.mutable_gap();
    gap->set_reason(kKindsOfLoss[kind].reason);
    gap->set_count(lost - reported_[kind]);
    if (Recent(now_ns).empty()) lost_lately_ = 0;
    lost_lately_ += gap->count();
    lost_ns_ = now_ns;
    gap->set_from_ns(from_ns);
    gap->set_to_ns(to_ns);
    gaps.push_back(std::move(event));
    reported_[kind] = lost;
  }
  observed_ns_ = now_ns;
  return gaps;
}

std::string LossWatch::Recent(int64_t now_ns) const {
  // Either way: the clock may have been set back since.
  if (!lost_ns_ || std::abs(now_ns - *lost_ns_) >= absl::ToInt64Nanoseconds(kRecent)) return "";
  return absl::StrCat(
      "events were lost: ", lost_lately_, ", the last of them less than ",
      absl::ToInt64Minutes(kRecent),
      " minutes ago: more happened than the kernel's rings could hold; verdicts held "
      "all the same, and postern query --kind gap shows when; find who connects so "
      "often");
}

std::vector<spool::Mark> LossWatch::Marks() const {
  std::vector<spool::Mark> marks;
  for (size_t kind = 0; kind < kKinds; ++kind) marks.push_back({MarkName(kind), reported_[kind]});
  marks.push_back({absl::StrCat("lost/", pins_, "/observed"), static_cast<uint64_t>(observed_ns_)});
  return marks;
}

std::vector<std::pair<postern_counter, uint64_t>> LossWatch::Told() const {
  std::vector<std::pair<postern_counter, uint64_t>> told;
  for (size_t kind = 0; kind < kKinds; ++kind) {
    told.emplace_back(kKindsOfLoss[kind].told, reported_[kind]);
  }
  told.emplace_back(POSTERN_COUNTER_TOLD_UNTIL, static_cast<uint64_t>(observed_ns_));
  return told;
}

}  // namespace postern::pump
