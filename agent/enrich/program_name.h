// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_AGENT_ENRICH_PROGRAM_NAME_H_
#define POSTERN_AGENT_ENRICH_PROGRAM_NAME_H_

#include <string>

#include "absl/strings/string_view.h"

namespace postern::enrich {

// The file's name without a version: "php" of /usr/bin/php8.2, "php-fpm" of php-fpm8.2.
inline std::string ProgramName(absl::string_view exe) {
  const size_t slash = exe.rfind('/');
  if (slash != absl::string_view::npos) exe.remove_prefix(slash + 1);
  constexpr absl::string_view kVersion = "0123456789.";
  size_t end = exe.size();
  while (end > 0 && kVersion.find(exe[end - 1]) != absl::string_view::npos) --end;
  // "lua-5.4"
  if (end < exe.size() && end > 0 && exe[end - 1] == '-') --end;
  return std::string(end == 0 ? exe : exe.substr(0, end));
}

}  // namespace postern::enrich

#endif  // POSTERN_AGENT_ENRICH_PROGRAM_NAME_H_
