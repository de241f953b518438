// SPDX-License-Identifier: Apache-2.0
// Counts durations by how long they were. Thread-safe.
#ifndef POSTERN_COMMON_METRICS_HISTOGRAM_H_
#define POSTERN_COMMON_METRICS_HISTOGRAM_H_

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "common/metrics/family.h"

namespace postern::metrics {

class Histogram {
 public:
  // Upper bounds of its buckets, rising. One for all that is longer is added.
  explicit Histogram(const std::vector<absl::Duration>& bounds);
  ~Histogram();
  Histogram(const Histogram&) = delete;
  Histogram& operator=(const Histogram&) = delete;

  // Below zero counts as zero.
  void Add(absl::Duration duration);
  Sample Take(std::vector<Label> labels = {}) const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace postern::metrics

#endif  // POSTERN_COMMON_METRICS_HISTOGRAM_H_
