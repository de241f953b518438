// SPDX-License-Identifier: Apache-2.0
#include "common/log.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"

namespace postern {

void Log(LogLevel level, absl::string_view message) {
  static const bool journald_listens = getenv("JOURNAL_STREAM") != nullptr;
  std::string line;
  if (journald_listens) {
    line = absl::StrCat("<", static_cast<int>(level), ">");
  } else if (level != LogLevel::kInfo) {
    line = level == LogLevel::kError ? "error: " : "warning: ";
  }
  const size_t text = line.size();
  absl::StrAppend(&line, message);
  std::replace(line.begin() + static_cast<std::ptrdiff_t>(text), line.end(), '\n', ' ');
  line.push_back('\n');
  // Nobody is left to be told when standard error itself fails.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace postern
