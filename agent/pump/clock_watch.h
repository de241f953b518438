// SPDX-License-Identifier: Apache-2.0
// Follows what somebody does to the host's clock, also while no agent ran, and says
// which times of the record are in doubt for it.
//
// Events carry the wall clock's time. Which of two clocks was the right one, the old
// or the new, nobody here knows; but a collector on another host is a witness: as long
// as its clock agreed with ours, ours was right. What was recorded since then may lie
// under the time of either clock: a GAP (CLOCK_SET) names both. Less than a minute counts
// for no more than that minute: so far apart two clocks agree.
//
// Owned by one thread.
#ifndef POSTERN_AGENT_PUMP_CLOCK_WATCH_H_
#define POSTERN_AGENT_PUMP_CLOCK_WATCH_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "agent/spool/spool.h"
#include "common/boot_clock.h"
#include "postern/v1/event.pb.h"

namespace postern::pump {

class ClockWatch {
 public:
  // As common/boot_clock.h has them. `spool` outlives it.
  ClockWatch(spool::Spool& spool, std::function<int64_t()> boot_to_wall,
             std::function<int64_t()> boot_now = BootNowNs);

  // Reads what earlier starts of this boot kept. `watched_until_ns`: by the wall clock,
  // up to when an agent watched before; 0: never.
  absl::Status Load(int64_t watched_until_ns);

  // What makes a time since boot one of the wall clock, as of the last Observe().
  int64_t offset_ns() const { return offset_ns_; }

  // At this time since boot a collector's clock agreed with this host's.
  void Agreed(int64_t boot_ns);
  // It did not: this host's was ahead by so much, or behind.
  void Differed(int64_t boot_ns, int64_t ahead_ns);

  // A CLOCK_STEP and its GAPs, where the clock was set since the last call; once a minute
  // GAPs alone, as long as a collector says that it is wrong.
  std::vector<v1::Event> Observe();

  // To be committed with those events.
  std::vector<spool::Mark> Marks() const;

 private:
  // What was recorded since then, up to `now_ns` since boot, lies under the time of a clock
  // `by_ns` from the one that may be right.
  std::vector<v1::Event> Doubts(int64_t since_ns, int64_t now_ns, int64_t offset_ns, int64_t by_ns);
  std::vector<v1::Event> TellDifference();

  spool::Spool& spool_;
  const std::function<int64_t()> boot_to_wall_;
  const std::function<int64_t()> boot_now_;
  int64_t offset_ns_;
  // Since boot: the clock as it is was right at that time, or was set then, by a minute
  // or more. 0: neither is known of this boot.
  int64_t sure_ns_ = 0;
  // Agreed(), and not yet known that it was with the clock as it is.
  int64_t agreed_ns_ = 0;
  // Differed(), and by how much; 0: it did not.
  int64_t differed_ns_ = 0;
  int64_t ahead_ns_ = 0;
  // Since boot: up to then the difference was told of.
  int64_t told_ns_ = 0;
  // By the wall clock: of the first start of an agent with this spool.
  int64_t began_ns_ = 0;
  int64_t watched_until_ns_ = 0;
};

}  // namespace postern::pump

#endif  // POSTERN_AGENT_PUMP_CLOCK_WATCH_H_
