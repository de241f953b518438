// SPDX-License-Identifier: Apache-2.0
// What a command sees of the world it runs in.
#ifndef POSTERN_CLI_CONSOLE_H_
#define POSTERN_CLI_CONSOLE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>

#include "common/unique_fd.h"

namespace postern::cli {

enum class ExitCode {
  kAnswered = 0,
  kError = 1,
  kUsage = 2,
  // Answered, but the record is incomplete, or the agent is not healthy.
  kIncomplete = 3,
};

struct Console {
  std::ostream& out;
  std::ostream& err;
  // Columns of the terminal that `out` is; nullopt where it is none.
  std::optional<size_t> width;
  // Nanoseconds since the epoch.
  std::function<uint64_t()> now;
  // From this call on an interrupt no longer ends the process but makes the
  // returned descriptor readable. Called before threads are started.
  std::function<UniqueFd()> take_interrupts;
};

}  // namespace postern::cli

#endif  // POSTERN_CLI_CONSOLE_H_
