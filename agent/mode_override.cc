// SPDX-License-Identifier: Apache-2.0
#include "agent/mode_override.h"

#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/small_file.h"
#include "common/status.h"

namespace postern::agent {

using policy::Mode;

std::string ModeName(Mode mode) { return mode == Mode::kEnforce ? "enforce" : "monitor"; }

Mode ModeOverride::Effective(Mode in_file) const {
  const auto kept = ReadSmallFile(path_, /*bytes_max=*/64, Links::kRefuse);
  if (!kept.ok()) return in_file;
  for (const Mode mode : {Mode::kMonitor, Mode::kEnforce}) {
    if (*kept == absl::StrCat(ModeName(in_file), " ", ModeName(mode), "\n")) return mode;
  }
  return in_file;
}

void ModeOverride::Settle(Mode in_file) const {
  // What cannot be removed is of another mode, and so without effect until the
  // file goes back to that.
  if (Effective(in_file) == in_file) unlink(path_.c_str());
}

absl::Status ModeOverride::Set(Mode in_file, Mode mode) const {
  if (in_file == mode) {
    if (unlink(path_.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, path_);
    return absl::OkStatus();
  }
  return WriteFileAtomically(path_, absl::StrCat(ModeName(in_file), " ", ModeName(mode), "\n"));
}

}  // namespace postern::agent
