// SPDX-License-Identifier: Apache-2.0
// What the service manager is told (sd_notify(3)); nothing where there is none.
#ifndef POSTERN_AGENT_SERVICE_MANAGER_H_
#define POSTERN_AGENT_SERVICE_MANAGER_H_

#include <string>

#include "absl/strings/string_view.h"

namespace postern::agent {

// Never waits for the service manager, as sd_notify(3) does once nobody reads its
// socket. What finds no room there is told by a later call, unless something newer
// has to be told by then. Owned by one thread.
class ServiceManager {
 public:
  void Ready(absl::string_view status);
  void Reloading();
  void Stopping();
  // To be called once a second. Shows life where WatchdogSec= asks for it
  // (WATCHDOG_USEC).
  void Alive();

 private:
  void Tell(std::string state);

  std::string untold_;
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_SERVICE_MANAGER_H_
