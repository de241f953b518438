// SPDX-License-Identifier: Apache-2.0
#include "common/metrics/text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/utf8.h"

namespace postern::metrics {
namespace {

std::string Utf8(const std::string& text) {
  std::string valid;
  for (absl::string_view rest = text; !rest.empty();) {
    uint32_t ignored = 0;
    const size_t length = DecodeUtf8(rest, ignored);
    if (length == 0) {
      absl::StrAppendFormat(&valid, "\\x%02x", static_cast<unsigned char>(rest.front()));
      rest.remove_prefix(1);
    } else {
      absl::StrAppend(&valid, rest.substr(0, length));
      rest.remove_prefix(length);
    }
  }
  return valid;
}

prometheus::MetricType TypeOf(Type type) {
  switch (type) {
    case Type::kCounter:
      return prometheus::MetricType::Counter;
    case Type::kGauge:
      return prometheus::MetricType::Gauge;
    case Type::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric MetricOf(const Sample& sample) {
  prometheus::ClientMetric metric;
  for (const Label& label : sample.labels) metric.label.push_back({label.name, Utf8(label.value)});
  // Only that of the family's type is written.
  metric.counter.value = sample.value;
  metric.gauge.value = sample.value;
  if (sample.distribution.has_value()) {
    metric.histogram.sample_count = sample.distribution->count;
    metric.histogram.sample_sum = sample.distribution->sum;
    for (const Bucket& bucket : sample.distribution->buckets) {
      metric.histogram.bucket.push_back({bucket.count, bucket.up_to});
    }
  }
  return metric;
}

}  // namespace

std::string ToText(const std::vector<Family>& families) {
  std::vector<prometheus::MetricFamily> converted;
  for (const Family& family : families) {
    if (family.samples.empty()) continue;
    prometheus::MetricFamily& to = converted.emplace_back();
    to.name = family.name;
    to.help = family.help;
    to.type = TypeOf(family.type);
    for (const Sample& sample : family.samples) to.metric.push_back(MetricOf(sample));
  }
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, converted);
  return out.str();
}

}  // namespace postern::metrics
