// SPDX-License-Identifier: Apache-2.0
// What `postern status` shows, from the agent's own structures.
#ifndef POSTERN_AGENT_STATUS_REPORT_H_
#define POSTERN_AGENT_STATUS_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/enrich/host_identity.h"
#include "agent/policy_in_force.h"
#include "agent/pump/loss_watch.h"
#include "agent/sensor/sensor.h"
#include "agent/spool/spool.h"
#include "agent/uplink/uplink.h"
#include "postern/v1/control.pb.h"

namespace postern::agent {

struct StatusSources {
  const enrich::HostIdentity& identity;
  absl::Time started;
  const PolicyInForce& policy;
  const sensor::Sensor& sensor;
  const std::vector<sensor::HookState>& hooks;
  std::optional<absl::Time> proven;  // when a canary last was denied and recorded
  uint64_t unreadable;               // records that the agent could not make sense of
  spool::Spool& spool;
  const uplink::Uplink* uplink;  // null where no collector is configured
  // What is wrong beside a collector that is not connected, and what is only worth
  // knowing.
  std::vector<std::string> problems;
  std::vector<std::string> notes;
};

v1::StatusResponse ReportStatus(const StatusSources& sources);

}  // namespace postern::agent

#endif  // POSTERN_AGENT_STATUS_REPORT_H_
