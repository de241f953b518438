// SPDX-License-Identifier: Apache-2.0
// Notices agents that are not heard of any more though they did not say goodbye: an
// event of kind AGENT_SILENT, once for each silence.
//
// A host counts as silent when nothing has come from it for the heartbeat's tolerance
// by a clock that nobody sets, counted from this collector's start: neither a clock
// that was set nor a collector that was away makes anybody silent.
#ifndef POSTERN_SERVER_INGEST_SILENCE_WATCH_H_
#define POSTERN_SERVER_INGEST_SILENCE_WATCH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/steady_clock.h"
#include "server/store/event_store.h"

namespace postern::server {

class SilenceWatch {
 public:
  struct Options {
    absl::Duration look_every = absl::Seconds(15);
    absl::Duration tolerance = absl::Nanoseconds(kHeartbeatToleranceNs);
    std::function<absl::Time()> now = SteadyNow;
  };

  // `store` outlives it.
  SilenceWatch(EventStore* store, Options options);
  ~SilenceWatch();
  SilenceWatch(const SilenceWatch&) = delete;
  SilenceWatch& operator=(const SilenceWatch&) = delete;

  // What its own thread does each time. From any thread.
  void Look() ABSL_LOCKS_EXCLUDED(looking_);

 private:
  struct Heard {
    uint64_t last_seen_ns = 0;
    // When it was first found so.
    absl::Time since;
    bool told = false;
  };

  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether an earlier collector has recorded this silence.
  bool IsRecorded(const v1::Host& host);
  void Record(const v1::Host& host);

  EventStore* const store_;
  const Options options_;
  Mutex looking_;
  std::map<std::string, Heard> heard_ ABSL_GUARDED_BY(looking_);
  Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_INGEST_SILENCE_WATCH_H_
