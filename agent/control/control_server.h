// SPDX-License-Identifier: Apache-2.0
// The agent's two sockets: RUN_DIR/read.sock serves Control to group postern,
// RUN_DIR/admin.sock Control and Admin to root. gRPC shows no peer credentials
// over a unix socket, so the mode of its file decides who may speak.
#ifndef POSTERN_AGENT_CONTROL_CONTROL_SERVER_H_
#define POSTERN_AGENT_CONTROL_CONTROL_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/control/event_feed.h"
#include "agent/control/interfaces.h"

namespace postern::control {

// All outlive the server.
struct Backends {
  StatusSource* status = nullptr;
  PolicyTester* tester = nullptr;
  ModeSwitch* mode = nullptr;
  EventFeed* feed = nullptr;
  PolicyKeeper* policy = nullptr;
  PolicyWorkshop* workshop = nullptr;
};

class ControlServer {
 public:
  // Serves when it returns. `group` reads, if there is such a group.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Create(const std::string& run_dir,
                                                               const std::string& group,
                                                               const Backends& backends);
  // Ends every call, and returns when none is left.
  virtual ~ControlServer() = default;

  // Makes sockets that somebody removed again, their folder too, and says so in the
  // log; calls that run go on. Error: nobody can call, and why. By one thread.
  virtual absl::Status KeepSockets() = 0;
};

}  // namespace postern::control

#endif  // POSTERN_AGENT_CONTROL_CONTROL_SERVER_H_
