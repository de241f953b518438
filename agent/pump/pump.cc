// SPDX-License-Identifier: Apache-2.0
#include "agent/pump/pump.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/boot_clock.h"
#include "common/log.h"
#include "common/status.h"

namespace postern::pump {
namespace {

using sensor::Ring;

std::string MarkName(const sensor::Sensor& sensor, Ring ring) {
  return absl::StrCat("ring/", sensor.RingId(ring));
}

// When it was complete: repeats follow what they repeat.
uint64_t LastTimeNs(const v1::Event& event) {
  return event.has_last_time_ns() ? event.last_time_ns() : event.time_ns();
}

}  // namespace

Pump::Pump(sensor::Sensor& sensor, spool::Spool& spool, enrich::Enricher& enricher,
           std::function<void(const v1::Event&)> on_committed, std::function<absl::Time()> now,
           std::function<int64_t()> boot_to_wall)
    : sensor_(sensor),
      spool_(spool),
      enricher_(enricher),
      on_committed_(std::move(on_committed)),
      now_(std::move(now)),
      clock_(spool, std::move(boot_to_wall)),
      // Losses of before the first start of this spool: since the machine started.
      losses_(spool, sensor.RingId(Ring::kOther), clock_.offset_ns()),
      watch_(spool, sensor.RingId(Ring::kOther)) {}

absl::Status Pump::Begin(bool judging) {
  ReportDamage();
  for (const Ring ring : {Ring::kDenied, Ring::kOther}) {
    ASSIGN_OR_RETURN(const std::optional<uint64_t> position,
                     spool_.FindMark(MarkName(sensor_, ring)));
    if (position.has_value()) sensor_.SkipTo(ring, *position);
  }
  ASSIGN_OR_RETURN(counters_, sensor_.ReadCounters());
  RETURN_IF_ERROR(losses_.Load(counters_));
  RETURN_IF_ERROR(watch_.Load(judging));
  RETURN_IF_ERROR(clock_.Load(watch_.committed_ns()));
  // Hooks that are gone are on the disk before they are put back: dying right after
  // must not hide it. Where the disk fails, the next turn tries again.
  if (watch_.Due()) Commit().IgnoreError();
  return absl::OkStatus();
}

void Pump::Add(v1::Event event) {
  enricher_.Stamp(event);
  if (event.time_ns() == 0) {
    event.set_time_ns(static_cast<uint64_t>(absl::ToUnixNanos(now_())));
  }
  event.set_boot_time_ns(static_cast<uint64_t>(BootNowNs()));
  batch_.push_back({std::move(event), /*origin=*/0});
  ++added_;
}

absl::StatusOr<bool> Pump::Turn() {
  // What could not be committed goes first: the sensor will not hand it out again.
  if (!records_held_) {
    // Clocks are set and drift: the offset is never older than a turn.
    FollowClock();
    more_ = false;
    Take(Ring::kDenied);
    Take(Ring::kOther);
    if (!more_) watch_.Drained();
  }
  behind_ = true;
  if (!batch_.empty() || records_held_ || watch_.Due()) RETURN_IF_ERROR(Commit());
  behind_ = more_;
  return more_;
}

void Pump::FollowClock() {
  const int64_t before_ns = clock_.offset_ns();
  for (v1::Event& event : clock_.Observe()) {
    if (event.kind() == v1::Event::CLOCK_STEP) {
      LogWarning("%s", event.message());
      watch_.ClockSet(clock_.offset_ns() - before_ns);
    }
    Add(std::move(event));
  }
}

void Pump::Take(Ring ring) {
  const uint64_t before = sensor_.ReadPosition(ring);
  const size_t records = sensor_.Read(
      ring, kRecordsAtOnce, [this](absl::Span<const std::byte> bytes) { TakeRecord(bytes); });
  if (sensor_.ReadPosition(ring) != before) records_held_ = true;
  if (records == kRecordsAtOnce) more_ = true;
}

void Pump::TakeRecord(absl::Span<const std::byte> bytes) {
  absl::StatusOr<sensor::DecodedRecord> record = sensor::Decode(bytes, clock_.offset_ns());
  if (!record.ok()) {
    if (unreadable_++ == 0) {
      LogWarning("a ring record was left out and counted as missing: %s",
                 std::string(record.status().message()));
    }
    ++unreadable_in_batch_;
    return;
  }
  spool::Entry entry;
  entry.event = std::move(record->event);
  if (record->is_repeats) {
    enricher_.EnrichRepeats(record->rule, entry.event);
    ResolveRepeats(*record, entry.event);
    entry.origin = record->first_seq;
  } else {
    enricher_.Enrich(record->rule, entry.event);
    entry.origin = entry.event.seq();
  }
  batch_.push_back(std::move(entry));
}

void Pump::ResolveRepeats(const sensor::DecodedRecord& record, v1::Event& event) {
  if (record.first_seq == 0) return;
  const auto here = std::find_if(batch_.rbegin(), batch_.rend(), [&](const spool::Entry& entry) {
    return entry.origin == record.first_seq;
  });
  if (here != batch_.rend()) {
    enrich::CompleteRepeats(here->event, event);
    return;
  }
  const auto found = spool_.Find(record.first_seq);
  if (found.ok() && found->has_value()) enrich::CompleteRepeats(**found, event);
}

absl::Status Pump::Commit() {
  if (unreadable_in_batch_ > 0) {
    v1::Event event;
    event.set_kind(v1::Event::GAP);
    event.mutable_gap()->set_reason(v1::Gap::UNREADABLE);
    event.mutable_gap()->set_count(unreadable_in_batch_);
    event.mutable_gap()->set_from_ns(static_cast<uint64_t>(absl::ToUnixNanos(now_())));
    event.mutable_gap()->set_to_ns(event.gap().from_ns());
    Add(std::move(event));
    unreadable_in_batch_ = 0;
  }
  std::vector<spool::Mark> marks = losses_.Marks();
  for (spool::Mark& mark : watch_.Marks()) marks.push_back(std::move(mark));
  for (spool::Mark& mark : clock_.Marks()) marks.push_back(std::move(mark));
  for (const Ring ring : {Ring::kDenied, Ring::kOther}) {
    marks.push_back({MarkName(sensor_, ring), sensor_.ReadPosition(ring)});
  }
  absl::Status status = spool_.Append(batch_, marks);
  if (absl::IsDataLoss(status)) {
    RETURN_IF_ERROR(spool_.Recover());
    ReportDamage();
    status = spool_.Append(batch_, marks);
  }
  RETURN_IF_ERROR(status);
  recorded_ = added_;
  watch_.Committed();
  // What fails here is told again, should this spool ever be another one.
  for (const auto& [counter, value] : losses_.Told()) {
    sensor_.SetCounter(counter, value).IgnoreError();
  }
  if (records_held_) {
    sensor_.Release(Ring::kDenied);
    sensor_.Release(Ring::kOther);
    records_held_ = false;
  }
  // Each ring is in order, the two of them are not.
  std::stable_sort(batch_.begin(), batch_.end(), [](const spool::Entry& a, const spool::Entry& b) {
    return LastTimeNs(a.event) < LastTimeNs(b.event);
  });
  for (const spool::Entry& entry : batch_) on_committed_(entry.event);
  batch_.clear();
  return absl::OkStatus();
}

void Pump::ReportDamage() {
  for (const spool::SetAside& aside : spool_.TakeSetAside()) {
    v1::Event event;
    event.set_kind(v1::Event::GAP);
    event.set_time_ns(static_cast<uint64_t>(std::max<int64_t>(aside.delivered_until_ns, 1)));
    v1::Gap* gap = event.mutable_gap();
    gap->set_reason(v1::Gap::SPOOL_CORRUPT);
    gap->set_from_ns(event.time_ns());
    gap->set_to_ns(static_cast<uint64_t>(absl::ToUnixNanos(now_())));
    Add(std::move(event));
    damage_.push_back(
        aside.path.empty()
            ? "the spool's file was gone; events that it held were not delivered: find out who "
              "removed it, and restart posternd"
            : absl::StrCat("the spool was damaged and set aside as ", aside.path,
                           "; events that it held were not delivered: check the disk, "
                           "keep or delete that file, and restart posternd"));
    LogWarning("%s", damage_.back());
  }
}

absl::Status Pump::CountUp(bool judging) {
  absl::StatusOr<Counters> counters = sensor_.ReadCounters();
  if (!counters.ok()) return counters.status();
  counters_ = *counters;
  FollowClock();
  const int64_t now_ns = absl::ToUnixNanos(now_());
  for (v1::Event& gap : losses_.Observe(counters_, now_ns)) Add(std::move(gap));
  // Always: flushing also begins the second in which budgets and repeats count anew.
  RETURN_IF_ERROR(sensor_.FlushRepeats());
  if (std::optional<v1::Event> gap = watch_.Observe(judging, now_ns)) Add(*std::move(gap));
  return absl::OkStatus();
}

uint64_t Pump::behind_since_ns() const {
  if (!behind_) return 0;
  uint64_t since = static_cast<uint64_t>(std::max<int64_t>(watch_.committed_ns(), 1));
  for (const spool::Entry& entry : batch_) since = std::min(since, entry.event.time_ns());
  return since;
}

}  // namespace postern::pump
