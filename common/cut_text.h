// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_COMMON_CUT_TEXT_H_
#define POSTERN_COMMON_CUT_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace postern {

// A message may quote a value of any length. Of a text of more than `bytes_max`, its
// beginning and its end, and how much is left out between them; within `bytes_max`,
// where that has room for saying so. No UTF-8 character is cut apart.
std::string CutMiddle(absl::string_view text, size_t bytes_max);

// For one line that a person reads: room for two paths, though not the longest.
inline constexpr size_t kMessageBytes = 600;

}  // namespace postern

#endif  // POSTERN_COMMON_CUT_TEXT_H_
