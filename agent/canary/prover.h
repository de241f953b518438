// SPDX-License-Identifier: Apache-2.0
// The agent proves itself: at the start, each minute, and with each new generation a
// canary connects where it must not. Its connects must fail, as the policy says, and
// their records must arrive like any others: through ring, decoder, spool. Nothing
// here waits.
//
// Owned by the thread that owns the sensor.
#ifndef POSTERN_AGENT_CANARY_PROVER_H_
#define POSTERN_AGENT_CANARY_PROVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/canary/child.h"
#include "agent/sensor/sensor.h"
#include "postern/v1/event.pb.h"

namespace postern::canary {

class Prover {
 public:
  // One costs 3.5 ms of a core, with its child, its commit and the livelier turns after
  // it (measured on a loaded machine by the cgroup's cpu.stat): 0.006 %.
  static constexpr absl::Duration kEvery = absl::Minutes(1);
  // After one that failed: so soon is it seen that all is well again.
  static constexpr absl::Duration kEveryWhileFailing = absl::Seconds(10);
  // For the child to report, and for the records to arrive. Much, for a host that is
  // short of time: an alarm must mean something.
  static constexpr absl::Duration kPatience = absl::Seconds(20);
  // For the record of one that was let through, only to tell by whom.
  static constexpr absl::Duration kPatienceOncePassed = absl::Seconds(1);

  // By what it is judged.
  struct Policy {
    uint16_t port = 0;
    int deny_errno = 0;
    uint32_t generation = 0;
  };

  // `record` is given the event of each failure, once as long as it stays the same.
  // The sensor outlives this.
  Prover(sensor::Sensor& sensor, MakeChild make_child, std::function<void(v1::Event)> record,
         std::function<absl::Time()> now = absl::Now);
  // Ends a canary under way.
  ~Prover();
  Prover(const Prover&) = delete;
  Prover& operator=(const Prover&) = delete;

  // Begins where it is time to, and looks at what is under way. To be called again
  // and again, after the rings were read.
  void Turn(const Policy& policy);
  // Of each event that is on the disk.
  void Committed(const v1::Event& event);

  // One is under way: Turn() is to come soon.
  bool busy() const { return under_way_.has_value(); }
  // What is not proven, in one line; "" where all is, or nothing was tried yet.
  const std::string& problem() const { return problem_; }
  // When all was, last.
  std::optional<absl::Time> proven() const { return proven_; }

 private:
  struct UnderWay {
    Policy policy;
    std::unique_ptr<Child> child;
    absl::Time begun;
    absl::Time reported;  // where there is a report
    std::optional<Report> report;
    std::vector<v1::Event> records;
  };

  void Begin(const Policy& policy);
  void Look();
  void End();
  // Looks at each way's errno and record.
  void Judge();
  void Fail(const std::string& problem, v1::Event::Verdict verdict);

  sensor::Sensor& sensor_;
  const MakeChild make_child_;
  const std::function<void(v1::Event)> record_;
  const std::function<absl::Time()> now_;
  std::optional<UnderWay> under_way_;
  absl::Time next_ = absl::InfinitePast();
  uint32_t generation_ = 0;  // of the last one begun
  std::string problem_;
  std::optional<absl::Time> proven_;
};

}  // namespace postern::canary

#endif  // POSTERN_AGENT_CANARY_PROVER_H_
