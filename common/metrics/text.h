// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_COMMON_METRICS_TEXT_H_
#define POSTERN_COMMON_METRICS_TEXT_H_

#include <string>
#include <vector>

#include "common/metrics/family.h"

namespace postern::metrics {

// In Prometheus' text format, version 0.0.4. Families without a sample are left out.
// Bytes of a label's value that are not UTF-8 are written as \xNN.
std::string ToText(const std::vector<Family>& families);

}  // namespace postern::metrics

#endif  // POSTERN_COMMON_METRICS_TEXT_H_
