// SPDX-License-Identifier: Apache-2.0
// Early returns for absl::Status, under upstream's names (abseil 20220623 has
// none of its own).
#ifndef POSTERN_COMMON_STATUS_H_
#define POSTERN_COMMON_STATUS_H_

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define RETURN_IF_ERROR(expression)                           \
  do {                                                        \
    if (absl::Status status_ = (expression); !status_.ok()) { \
      return status_;                                         \
    }                                                         \
  } while (false)

#define POSTERN_STATUS_JOIN_INNER(a, b) a##b
#define POSTERN_STATUS_JOIN(a, b) POSTERN_STATUS_JOIN_INNER(a, b)
#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_IMPL(POSTERN_STATUS_JOIN(status_or_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_IMPL(holder, target, expression) \
  auto holder = (expression);                             \
  if (!holder.ok()) {                                     \
    return std::move(holder).status();                    \
  }                                                       \
  target = *std::move(holder)

namespace postern {

// Status of a failed system call: "WHAT: No such file or directory", with the
// code that fits `error` (a positive errno).
absl::Status ErrnoStatus(int error, std::string_view what);

}  // namespace postern

#endif  // POSTERN_COMMON_STATUS_H_
