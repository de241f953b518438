// SPDX-License-Identifier: Apache-2.0
// Parts of what `postern status` shows, from the agent's own structures.
#ifndef POSTERN_AGENT_STATUS_REPORT_H_
#define POSTERN_AGENT_STATUS_REPORT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/pump/loss_watch.h"
#include "agent/sensor/sensor.h"
#include "agent/spool/spool.h"
#include "agent/uplink/uplink.h"
#include "postern/v1/control.pb.h"

namespace postern::agent {

// Without it an attempt goes unjudged or its sender unknown; what else is missing
// is shown and no problem.
bool IsEssential(absl::string_view hook);

// Sets `healthy` too. `uplink` is null where no collector is configured; one that
// is not connected is a problem.
void AddProblems(const std::vector<std::string>& problems, const uplink::Uplink* uplink,
                 v1::StatusResponse& status);
void AddHooks(const std::vector<sensor::HookState>& hooks, v1::StatusResponse& status);
void AddCounters(const pump::Counters& counters, uint64_t unreadable, v1::StatusResponse& status);
void AddSpool(const spool::Stats& stats, v1::StatusResponse& status);

}  // namespace postern::agent

#endif  // POSTERN_AGENT_STATUS_REPORT_H_
