// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_SERVER_STORE_HOST_STATE_H_
#define POSTERN_SERVER_STORE_HOST_STATE_H_

#include <cstdint>

#include "postern/v1/ingest.pb.h"
#include "postern/v1/query.pb.h"

namespace postern::server {

// When a host was last heard of is not known: the collector's clock was set back since, by
// more than collectors beside each other differ.
bool LiesAhead(int64_t last_seen, int64_t now);

// What follows from the last words of `host`'s agent, said at `last_seen` (ns).
void SetState(const v1::AgentState& state, int64_t last_seen, int64_t now, v1::Host& host);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_HOST_STATE_H_
