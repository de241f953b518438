// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_SERVER_OPEN_STORE_H_
#define POSTERN_SERVER_OPEN_STORE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/config.h"
#include "server/store/event_store.h"

namespace postern::server {

// The store that the configuration names, of whichever kind. Each error is one line for
// the administrator. Call it while no other thread of the process makes files.
absl::StatusOr<std::unique_ptr<EventStore>> OpenStore(const CollectorConfig& config);

}  // namespace postern::server

#endif  // POSTERN_SERVER_OPEN_STORE_H_
