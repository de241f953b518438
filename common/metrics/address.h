// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_COMMON_METRICS_ADDRESS_H_
#define POSTERN_COMMON_METRICS_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"

namespace postern::metrics {

// Where metrics may be served, "127.0.0.1:7426": an address of 127.0.0.0/8 and a port.
// Nobody is asked who he is, so no other network is let in. InvalidArgument says what is
// wanted, to stand behind the key that was refused.
absl::StatusOr<std::string> LoopbackAddress(const std::string& text);

}  // namespace postern::metrics

#endif  // POSTERN_COMMON_METRICS_ADDRESS_H_
