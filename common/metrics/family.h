// SPDX-License-Identifier: Apache-2.0
// What a daemon tells of itself in figures: plain data, made for one answer.
//
// Names follow Prometheus: postern_agent_… or postern_collector_…, base units (seconds,
// bytes) at the end, `_total` behind what only grows. A time is a Unix time in seconds,
// `…_timestamp_seconds`, so that its age needs no clock of ours. What is not known has
// no sample: it is never 0 instead.
//
// Whoever may connect to loopback reads it: no user, host, address, path or command line
// of anybody belongs in here, and no label whose values others choose without bound.
#ifndef POSTERN_COMMON_METRICS_FAMILY_H_
#define POSTERN_COMMON_METRICS_FAMILY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace postern::metrics {

enum class Type { kCounter, kGauge, kHistogram };

struct Label {
  std::string name;
  std::string value;
};

struct Bucket {
  double up_to = 0;    // included
  uint64_t count = 0;  // of all up to there
};
struct Distribution {
  std::vector<Bucket> buckets;  // without that of all, whose count is `count`
  uint64_t count = 0;
  double sum = 0;
};

struct Sample {
  std::vector<Label> labels;
  double value = 0;
  std::optional<Distribution> distribution;  // of a histogram, which has no value
};

struct Family {
  std::string name;
  std::string help;  // one line
  Type type = Type::kGauge;
  std::vector<Sample> samples;
};

inline Sample Value(uint64_t value, std::vector<Label> labels = {}) {
  return {std::move(labels), static_cast<double>(value), std::nullopt};
}
inline Sample Flag(bool value, std::vector<Label> labels = {}) {
  return {std::move(labels), value ? 1.0 : 0.0, std::nullopt};
}
inline Sample Value(absl::Duration value, std::vector<Label> labels = {}) {
  return {std::move(labels), absl::ToDoubleSeconds(value), std::nullopt};
}
// Since the Unix epoch.
inline Sample Value(absl::Time value, std::vector<Label> labels = {}) {
  return Value(value - absl::UnixEpoch(), std::move(labels));
}

}  // namespace postern::metrics

#endif  // POSTERN_COMMON_METRICS_FAMILY_H_
