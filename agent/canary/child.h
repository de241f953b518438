// SPDX-License-Identifier: Apache-2.0
// The process that connects where it must not: the agent's own child, as nobody.
#ifndef POSTERN_AGENT_CANARY_CHILD_H_
#define POSTERN_AGENT_CANARY_CHILD_H_

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/canary/reserved.h"

namespace postern::canary {

// What it found, as it goes through a pipe.
struct Report {
  // Where it could not even try: the call that failed, a text of this program, and why.
  enum class Failed : int32_t { kNothing, kGroups, kUser, kSocket };
  // result: of a way that this host does not have, because it has no IPv6.
  static constexpr int32_t kNoSuchWay = -1;

  Failed failed = Failed::kNothing;
  int32_t error = 0;
  // errno of connect(2), by the index of kWays. The sockets do not block: EINPROGRESS
  // where it was let through, whoever listens there or not.
  std::array<int32_t, kWays.size()> result = {};
};

// Waits to be told, connects, reports, and is gone.
class Child {
 public:
  // Ends it, whatever it does.
  virtual ~Child() = default;

  virtual pid_t pid() const = 0;
  virtual void Go() = 0;
  // Nothing as long as it has not reported; an error where it never will. Does not wait.
  virtual absl::StatusOr<std::optional<Report>> Poll() = 0;
};

// To `port` of each way's address.
using MakeChild = std::function<absl::StatusOr<std::unique_ptr<Child>>(uint16_t port)>;

// A fork of this process. It leaves all of the agent's files and rights behind before
// anything else. One thread calls it and owns what it makes.
absl::StatusOr<std::unique_ptr<Child>> StartChild(uint16_t port);

}  // namespace postern::canary

#endif  // POSTERN_AGENT_CANARY_CHILD_H_
