// SPDX-License-Identifier: Apache-2.0
#include "server/store/host_state.h"

#include "server/store/event_store.h"

namespace postern::server {

bool LiesAhead(int64_t last_seen, int64_t now) { return last_seen > now + kHeartbeatToleranceNs; }

void SetState(const v1::AgentState& state, int64_t last_seen, int64_t now, v1::Host& host) {
  host.set_stopped(state.stopping());
  host.set_silent(!state.stopping() &&
                  (last_seen < now - kHeartbeatToleranceNs || LiesAhead(last_seen, now)));
  host.set_allowed(state.allowed());
  host.set_denied(state.denied());
  host.set_would_deny(state.would_deny());
  host.set_spool_events(state.spool_events());
  host.set_spool_bytes(state.spool_bytes());
  host.set_spool_evicted(state.spool_evicted());
}

}  // namespace postern::server
