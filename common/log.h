// SPDX-License-Identifier: Apache-2.0
// One line to standard error, with the priority prefix that journald reads
// (sd-daemon(3)) when it is what listens there.
#ifndef POSTERN_COMMON_LOG_H_
#define POSTERN_COMMON_LOG_H_

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace postern {

enum class LogLevel { kError = 3, kWarning = 4, kInfo = 6 };

// Thread-safe: each line is one write(2). Line breaks in `message` become spaces.
void Log(LogLevel level, absl::string_view message);

template <typename... Args>
void LogError(const absl::FormatSpec<Args...>& format, const Args&... args) {
  Log(LogLevel::kError, absl::StrFormat(format, args...));
}
template <typename... Args>
void LogWarning(const absl::FormatSpec<Args...>& format, const Args&... args) {
  Log(LogLevel::kWarning, absl::StrFormat(format, args...));
}
template <typename... Args>
void LogInfo(const absl::FormatSpec<Args...>& format, const Args&... args) {
  Log(LogLevel::kInfo, absl::StrFormat(format, args...));
}

}  // namespace postern

#endif  // POSTERN_COMMON_LOG_H_
