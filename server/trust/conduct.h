// SPDX-License-Identifier: Apache-2.0
// How those behave who may come in. Each connection, each stream and each message
// that is garbage costs points; who has used up a minute's points is shut out for
// a minute and named. Honest agents, which wait longer after each failure, use a
// small part. Thread-safe.
#ifndef POSTERN_SERVER_TRUST_CONDUCT_H_
#define POSTERN_SERVER_TRUST_CONDUCT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/steady_clock.h"
#include "server/trust/bearer.h"

namespace postern::server {

class Conduct {
 public:
  static constexpr int kConnection = 2;
  static constexpr int kStream = 1;
  static constexpr int kGarbage = 10;
  // A minute's. Operators run scripts.
  static constexpr int kAgentPoints = 120;
  static constexpr int kOperatorPoints = 6000;
  static constexpr absl::Duration kMinute = absl::Minutes(1);

  explicit Conduct(std::function<absl::Time()> now = SteadyNow) : now_(std::move(now)) {}

  // False where `bearer` is shut out, by this or before. `what` names it in the log.
  bool Allow(const Bearer& bearer, int points, absl::string_view what) ABSL_LOCKS_EXCLUDED(mutex_);
  bool ShutOut(const Bearer& bearer) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Counts each time that somebody was shut out: connections have to be cut.
  uint64_t changes() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Record {
    absl::Time minute_began = absl::InfinitePast();
    int points = 0;
    absl::Time out_until = absl::InfinitePast();
  };

  const std::function<absl::Time()> now_;
  mutable Mutex mutex_;
  // By title. One a certificate's name: as many as were signed.
  absl::flat_hash_map<std::string, Record> records_ ABSL_GUARDED_BY(mutex_);
  uint64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_CONDUCT_H_
