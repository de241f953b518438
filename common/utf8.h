// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_COMMON_UTF8_H_
#define POSTERN_COMMON_UTF8_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace postern {

// Length of the valid UTF-8 sequence (RFC 3629, section 4) at the front of
// `bytes`, and its code point; 0 where there is none.
size_t DecodeUtf8(absl::string_view bytes, uint32_t& code_point);
// All of it is.
bool IsUtf8(absl::string_view bytes);

}  // namespace postern

#endif  // POSTERN_COMMON_UTF8_H_
