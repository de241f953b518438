// SPDX-License-Identifier: Apache-2.0
// What the service manager is told (sd_notify(3)); nothing where there is none.
#ifndef POSTERN_AGENT_SERVICE_MANAGER_H_
#define POSTERN_AGENT_SERVICE_MANAGER_H_

#include <string>

#include "absl/strings/string_view.h"

namespace postern::agent {

void NotifyReady(absl::string_view status);
void NotifyReloading();
void NotifyStopping();
void NotifyStatus(absl::string_view status);
// Shows life where WatchdogSec= asks for it (WATCHDOG_USEC); says nothing otherwise.
void NotifyAlive();

}  // namespace postern::agent

#endif  // POSTERN_AGENT_SERVICE_MANAGER_H_
