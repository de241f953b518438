// SPDX-License-Identifier: Apache-2.0
// Knows up to when everything was judged and is on the disk, across starts and
// boots, and tells of the time that was not: while the hooks were released, the
// machine was off, or somebody had taken a hook away.
//
// Two marks in the spool hold it. "watched/until" outlives its boot; it moves when
// the rings have been read to their end, at most a minute behind where nothing
// happens. "watched/PINS" is of one boot and one set of pins: the kernel has not
// stopped to judge since. Whoever starts without that one says NOT_WATCHED, from
// the other one on.
//
// Owned by one thread.
#ifndef POSTERN_AGENT_PUMP_WATCH_H_
#define POSTERN_AGENT_PUMP_WATCH_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/spool/spool.h"
#include "postern/v1/event.pb.h"

namespace postern::pump {

class Watch {
 public:
  // `pins` names the pins that are judged by.
  Watch(spool::Spool& spool, std::string pins);

  // Reads what earlier starts kept. `judging`: what they left attached judges now.
  absl::Status Load(bool judging);

  // The wall clock was set forward by so much, or back: by it all times are told.
  void ClockSet(int64_t by_ns);

  // Whether every connect was judged at `now_ns`, and all that was counted until
  // then stands in the rings. Where it does so again, a GAP for the time it did not.
  std::optional<v1::Event> Observe(bool judging, int64_t now_ns);
  // The rings were read to their end: what comes next to the disk reaches up to the
  // last Observe() that found all well.
  void Drained();

  // To be committed with the events read; and without any, where Due().
  std::vector<spool::Mark> Marks() const;
  bool Due() const;
  void Committed();
  // All that happened before is on the disk; 0: never yet.
  int64_t committed_ns() const { return committed_ns_; }
  // Since then not every connect was judged, and no GAP on the disk tells of it;
  // 0: all were.
  uint64_t not_watched_since_ns() const;

 private:
  std::string PinsMark() const;

  spool::Spool& spool_;
  const std::string pins_;
  int64_t observed_ns_ = 0;
  int64_t until_ns_ = 0;
  bool unbroken_ = false;
  // As the spool has them.
  int64_t committed_ns_ = 0;
  bool committed_unbroken_ = false;
};

}  // namespace postern::pump

#endif  // POSTERN_AGENT_PUMP_WATCH_H_
