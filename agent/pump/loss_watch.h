// SPDX-License-Identifier: Apache-2.0
// Turns the kernel's counters of losses into GAP events: each loss once, across
// restarts of the agent. What was reported is a mark in the spool, committed
// together with the GAP itself, and stands beside the counters for an agent that
// has another spool.
//
// Owned by one thread.
#ifndef POSTERN_AGENT_PUMP_LOSS_WATCH_H_
#define POSTERN_AGENT_PUMP_LOSS_WATCH_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/spool/spool.h"
#include "bpf/abi/counters.h"
#include "postern/v1/event.pb.h"

namespace postern::pump {

using Counters = std::array<uint64_t, POSTERN_COUNTERS>;

// Of all kinds, since the pins were made.
uint64_t LostIn(const Counters& counters);

class LossWatch {
 public:
  // Losses are a problem until there were none for so long.
  static constexpr absl::Duration kRecent = absl::Minutes(10);

  // `pins` names the pins that the counters belong to: with others they count
  // from zero again. `since_ns`: when counting began, at the latest.
  LossWatch(spool::Spool& spool, std::string pins, int64_t since_ns);

  // Reads what earlier starts reported, by this spool or another one.
  absl::Status Load(const Counters& counters);

  // A GAP for each kind of loss that grew since the last call, from then to now.
  std::vector<v1::Event> Observe(const Counters& counters, int64_t now_ns);
  // Losses that Observe() told of within kRecent, in a line; "" where there were none.
  std::string Recent(int64_t now_ns) const;
  // To be committed with those events.
  std::vector<spool::Mark> Marks() const;
  // To be set once they are.
  std::vector<std::pair<postern_counter, uint64_t>> Told() const;

 private:
  static constexpr size_t kKinds = 3;

  std::string MarkName(size_t kind) const;

  spool::Spool& spool_;
  const std::string pins_;
  std::array<uint64_t, kKinds> reported_ = {};
  int64_t observed_ns_;
  // Since losses began that follow each other within kRecent.
  uint64_t lost_lately_ = 0;
  std::optional<int64_t> lost_ns_;  // the last of them
};

}  // namespace postern::pump

#endif  // POSTERN_AGENT_PUMP_LOSS_WATCH_H_
