// SPDX-License-Identifier: Apache-2.0
// What is known of a host, as table `hosts` has it. Rows are written whole; of several
// of one host the one with the highest `changed` counts.
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_HOST_ROW_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_HOST_ROW_H_

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/string_view.h"
#include "postern/v1/ingest.pb.h"
#include "server/store/clickhouse/row_binary.h"

namespace postern::server::clickhouse {

inline constexpr absl::string_view kHostColumns =
    "host, changed, forgotten, agent, boot, version, state, collector, connected, first_seen, "
    "last_seen, first_event, oldest_pending, not_watched";

struct HostRow {
  std::string host;
  // Each change has a higher number, whoever makes it; by and large the time in ns.
  uint64_t changed = 0;
  bool forgotten = false;
  std::string agent;
  std::string boot;
  std::string version;
  // A serialized v1::AgentState.
  std::string state;
  // The collector that the host was connected to last, and whether it still is, as far as
  // that collector lives.
  uint64_t collector = 0;
  bool connected = false;
  // ns since the epoch.
  int64_t first_seen = 0;
  int64_t last_seen = 0;
  int64_t first_event = std::numeric_limits<int64_t>::max();
  // 0: nothing, and all are.
  int64_t oldest_pending = 0;
  int64_t not_watched = 0;

  // Up to when its record is whole, as far as it has said.
  int64_t KnownUntil() const;
  void Take(const v1::AgentState& said, int64_t now);
};

void PutHost(const HostRow& host, std::string& rows);
HostRow ReadHost(RowReader& row);

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_HOST_ROW_H_
