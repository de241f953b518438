// SPDX-License-Identifier: Apache-2.0
// Bytes as a zlib stream (RFC 1950), with an end that is known before they are read.
// Pure functions, safe from any thread.
#ifndef POSTERN_COMMON_PACKING_H_
#define POSTERN_COMMON_PACKING_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace postern {

// Fast rather than small.
std::string Pack(absl::string_view bytes);

// InvalidArgument where they are not the packed form of exactly `size` bytes. Takes no
// more memory than those, whatever it is given.
absl::StatusOr<std::string> Unpack(absl::string_view packed, size_t size);

}  // namespace postern

#endif  // POSTERN_COMMON_PACKING_H_
