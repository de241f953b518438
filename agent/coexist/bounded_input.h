// SPDX-License-Identifier: Apache-2.0
// What others wrote, by lines, within bounds of size and time: files, and what
// programs print.
#ifndef POSTERN_AGENT_COEXIST_BOUNDED_INPUT_H_
#define POSTERN_AGENT_COEXIST_BOUNDED_INPUT_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace postern::coexist {

// A line that is longer loses its end.
inline constexpr size_t kMaxLine = 8192;

using OnLine = std::function<void(absl::string_view line)>;

// Gathers lines out of pieces.
class LineSplitter {
 public:
  explicit LineSplitter(const OnLine& on_line) : on_line_(on_line) {}
  void Add(absl::string_view piece);
  // What has no line end.
  void Finish();

 private:
  const OnLine& on_line_;
  std::string line_;
  bool pending_ = false;
};

struct Bounds {
  size_t bytes = 0;
  absl::Duration time = absl::InfiniteDuration();  // of a program
  const std::atomic<bool>* stop = nullptr;         // ends it early; outlives the call
};

// NotFound: there is none. ResourceExhausted: lines came, but not all of them.
// Only regular files are read: nothing that could block.
absl::Status ReadLines(const std::string& path, const Bounds& bounds, const OnLine& on_line);
// The last lines within the bounds; that is no error.
absl::Status ReadLastLines(const std::string& path, const Bounds& bounds, const OnLine& on_line);

// Runs command[0], a path, with a clean environment, nothing to read, and nothing of
// ours open; it is killed where it passes the bounds. NotFound: there is no such
// program. DeadlineExceeded, ResourceExhausted: not all lines came. Unknown: it failed.
absl::Status RunLines(const std::vector<std::string>& command, const Bounds& bounds,
                      const OnLine& on_line);

}  // namespace postern::coexist

#endif  // POSTERN_AGENT_COEXIST_BOUNDED_INPUT_H_
