// SPDX-License-Identifier: Apache-2.0
// What somebody who mistyped a name may have meant.
#ifndef POSTERN_COMMON_NEAREST_NAME_H_
#define POSTERN_COMMON_NEAREST_NAME_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace postern {

// The candidate that takes the fewest inserted, dropped, changed or swapped
// characters; "" only without candidates.
absl::string_view NearestName(absl::string_view name,
                              absl::Span<const absl::string_view> candidates);

}  // namespace postern

#endif  // POSTERN_COMMON_NEAREST_NAME_H_
