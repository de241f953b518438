// SPDX-License-Identifier: Apache-2.0
// What the door, ingest and query count as they go, since the collector's start: what
// nothing else in it knows. Shared by all services of a collector. Thread-safe.
#ifndef POSTERN_SERVER_METRICS_FIGURES_H_
#define POSTERN_SERVER_METRICS_FIGURES_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/metrics/family.h"
#include "common/metrics/histogram.h"

namespace postern::server {

// Why a stream, or what it sent, was not taken.
enum class Refusal {
  kGarbage,     // no message of the protocol, or one that breaks its rules
  kStranger,    // a certificate that may not write, or not for that host
  kEpochInUse,  // of another stream
  kHole,        // positions are missing before it
  kOverload,    // too much is queued for the store, or the disk is full
  kStore,       // the store's other trouble
};
inline constexpr size_t kRefusals = 6;

// On which grounds a connection over TCP was not let in, or was cut off.
enum class Grounds {
  kNoTls,          // no handshake of TLS 1.3, or it left within it
  kNoCertificate,  // showed none where one is wanted
  kNotBelieved,    // of another CA, or for something else
  kExpired,
  kRevoked,
  kNoRole,    // a certificate that may do nothing here
  kTooMany,   // connections, at a time or in a minute
  kShutOut,   // came too often, or with too much garbage
  kGarbage,   // sent what breaks the protocol or its limits
  kDeadline,  // missed one: silent, slow, or takes nothing
};
inline constexpr size_t kGrounds = 10;

enum class Question { kFind, kGroup, kHosts };
inline constexpr size_t kQuestions = 3;

class Figures {
 public:
  Figures();

  // A batch that is committed: its events, its bytes as they came, how long the store
  // took, and how old the newest of the events is, where one has a time.
  void Stored(uint64_t events, uint64_t bytes, absl::Duration took,
              std::optional<absl::Duration> delay);
  void Refused(Refusal why) { ++refused_[static_cast<size_t>(why)]; }
  // Of the store's answer to a batch or a hello.
  void RefusedByStore(const absl::Status& status);
  void TurnedAway(Grounds grounds) { ++turned_away_[static_cast<size_t>(grounds)]; }
  void StreamBegan() { ++streams_; }
  void StreamEnded() { --streams_; }

  void Answered(Question question, const absl::Status& status, absl::Duration took);

  void AddTo(std::vector<metrics::Family>& families) const;

 private:
  std::atomic<uint64_t> batches_ = 0;
  std::atomic<uint64_t> events_ = 0;
  std::atomic<uint64_t> bytes_ = 0;
  std::atomic<int64_t> streams_ = 0;
  std::array<std::atomic<uint64_t>, kRefusals> refused_ = {};
  std::array<std::atomic<uint64_t>, kGrounds> turned_away_ = {};
  metrics::Histogram stored_;
  metrics::Histogram delay_;
  struct Answers {
    Answers();
    metrics::Histogram took;
    std::atomic<uint64_t> failed = 0;
  };
  std::array<Answers, kQuestions> answers_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_METRICS_FIGURES_H_
