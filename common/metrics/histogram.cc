// SPDX-License-Identifier: Apache-2.0
#include "common/metrics/histogram.h"

#include <prometheus/histogram.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace postern::metrics {
namespace {

std::vector<double> Seconds(const std::vector<absl::Duration>& bounds) {
  std::vector<double> seconds;
  seconds.reserve(bounds.size());
  for (const absl::Duration bound : bounds) seconds.push_back(absl::ToDoubleSeconds(bound));
  return seconds;
}

}  // namespace

class Histogram::Impl : public prometheus::Histogram {
  using prometheus::Histogram::Histogram;
};

Histogram::Histogram(const std::vector<absl::Duration>& bounds)
    : impl_(std::make_unique<Impl>(Seconds(bounds))) {}

Histogram::~Histogram() = default;

void Histogram::Add(absl::Duration duration) {
  impl_->Observe(absl::ToDoubleSeconds(std::max(duration, absl::ZeroDuration())));
}

Sample Histogram::Take(std::vector<Label> labels) const {
  const prometheus::ClientMetric metric = impl_->Collect();
  Sample sample;
  sample.labels = std::move(labels);
  Distribution& distribution = sample.distribution.emplace();
  distribution.sum = metric.histogram.sample_sum;
  distribution.count = metric.histogram.sample_count;
  for (const auto& bucket : metric.histogram.bucket) {
    if (std::isinf(bucket.upper_bound)) continue;
    distribution.buckets.push_back({bucket.upper_bound, bucket.cumulative_count});
  }
  return sample;
}

}  // namespace postern::metrics
