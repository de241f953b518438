// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/command.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/process.h"

namespace postern::bench {

absl::StatusOr<std::string> RunChecked(const Arguments& arguments, int netns_fd) {
  support::Finished finished = support::RunToEnd(arguments, {.network_namespace = netns_fd});
  if (finished.exit_code == 0) return std::move(finished.output);
  const std::string said = absl::StrCat(finished.output, finished.error);
  return absl::FailedPreconditionError(
      absl::StrCat(absl::StrJoin(arguments, " "), ": ",
                   finished.exit_code == 127 ? "not installed" : absl::StripAsciiWhitespace(said)));
}

}  // namespace postern::bench
