// SPDX-License-Identifier: Apache-2.0
// Moves records from the rings to the spool, and only then gives their room in
// the rings back; from there to the event log and whoever follows.
//
// Each record is taken once, also across a kill -9: how far a ring was read is
// committed with the events. Owned by the thread that owns the sensor.
#ifndef POSTERN_AGENT_PUMP_PUMP_H_
#define POSTERN_AGENT_PUMP_PUMP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "agent/enrich/enricher.h"
#include "agent/pump/clock_watch.h"
#include "agent/pump/loss_watch.h"
#include "agent/pump/watch.h"
#include "agent/sensor/decoder.h"
#include "agent/sensor/sensor.h"
#include "agent/spool/spool.h"
#include "common/boot_clock.h"
#include "postern/v1/event.pb.h"

namespace postern::pump {

class Pump {
 public:
  // Records taken from each ring at once: bounds what a turn holds in memory, at
  // three kilobytes a record.
  static constexpr size_t kRecordsAtOnce = 1024;

  // All outlive the pump. `on_committed` is given every event that is on the disk,
  // those of one turn in the order of time.
  Pump(sensor::Sensor& sensor, spool::Spool& spool, enrich::Enricher& enricher,
       std::function<void(const v1::Event&)> on_committed,
       std::function<absl::Time()> now = absl::Now,
       std::function<int64_t()> boot_to_wall = BootToWallOffsetNs);

  // Takes up both rings where the spool says they were left. Comes before connects
  // are judged by this agent: `judging` says whether they are by the one before.
  absl::Status Begin(bool judging);

  // Takes what the rings have, up to the bound, and commits it; true where there
  // may be more. On error nothing is lost and nothing released: what was taken is
  // held, and committed first by the next turn.
  absl::StatusOr<bool> Turn();

  // Has repeats written into the rings and looks for losses, and for time in which
  // connects were not judged; all come with the next turn. `judging`: as it was
  // found just before.
  absl::Status CountUp(bool judging);

  // As ClockWatch says.
  void ClockAgreed(int64_t boot_ns) { clock_.Agreed(boot_ns); }
  void ClockDiffered(int64_t boot_ns, int64_t ahead_ns) { clock_.Differed(boot_ns, ahead_ns); }

  // Commits an event of the agent's own with the next turn.
  void Add(v1::Event event);

  // Events that came by Add(), and how many of them, from the first, the spool has.
  uint64_t added() const { return added_; }
  uint64_t recorded() const { return recorded_; }

  // Of the last CountUp().
  const Counters& counters() const { return counters_; }
  uint64_t unreadable() const { return unreadable_; }
  // 0 where the last turn left nothing behind; else a time that nothing is older
  // than of what is not in the spool yet.
  uint64_t behind_since_ns() const;
  // As Watch says.
  uint64_t not_watched_since_ns() const { return watch_.not_watched_since_ns(); }
  // As LossWatch says.
  std::string recent_loss() const { return losses_.Recent(absl::ToUnixNanos(now_())); }
  // One line each: spools that were set aside since the start.
  const std::vector<std::string>& damage() const { return damage_; }

 private:
  // Records what somebody did to the wall clock.
  void FollowClock();
  void Take(sensor::Ring ring);
  void TakeRecord(absl::Span<const std::byte> bytes);
  void ResolveRepeats(const sensor::DecodedRecord& record, v1::Event& event);
  absl::Status Commit();
  // Says what became of a damaged spool, in an event and in a line.
  void ReportDamage();

  sensor::Sensor& sensor_;
  spool::Spool& spool_;
  enrich::Enricher& enricher_;
  const std::function<void(const v1::Event&)> on_committed_;
  const std::function<absl::Time()> now_;
  ClockWatch clock_;
  LossWatch losses_;
  Watch watch_;

  std::vector<spool::Entry> batch_;
  uint64_t added_ = 0;
  uint64_t recorded_ = 0;
  bool records_held_ = false;
  bool more_ = false;
  bool behind_ = false;
  uint64_t unreadable_in_batch_ = 0;

  Counters counters_ = {};
  uint64_t unreadable_ = 0;
  std::vector<std::string> damage_;
};

}  // namespace postern::pump

#endif  // POSTERN_AGENT_PUMP_PUMP_H_
