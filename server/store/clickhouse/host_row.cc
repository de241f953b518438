// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/host_row.h"

#include <algorithm>

namespace postern::server::clickhouse {
namespace {

int64_t Fit(uint64_t value) {
  return static_cast<int64_t>(
      std::min(value, static_cast<uint64_t>(std::numeric_limits<int64_t>::max())));
}

}  // namespace

int64_t HostRow::KnownUntil() const {
  int64_t until = last_seen;
  if (oldest_pending != 0) until = std::min(until, oldest_pending);
  if (not_watched != 0) until = std::min(until, not_watched);
  return until;
}

void HostRow::Take(const v1::AgentState& said, int64_t now) {
  state = said.SerializeAsString();
  last_seen = now;
  oldest_pending = Fit(said.oldest_pending_ns());
  not_watched = Fit(said.not_watched_since_ns());
}

void PutHost(const HostRow& host, std::string& rows) {
  PutText(host.host, rows);
  PutNumber(host.changed, rows);
  PutNumber(static_cast<uint8_t>(host.forgotten), rows);
  PutText(host.agent, rows);
  PutText(host.boot, rows);
  PutText(host.version, rows);
  PutText(host.state, rows);
  PutNumber(host.collector, rows);
  PutNumber(static_cast<uint8_t>(host.connected), rows);
  for (const int64_t time :
       {host.first_seen, host.last_seen, host.first_event, host.oldest_pending, host.not_watched}) {
    PutNumber(time, rows);
  }
}

HostRow ReadHost(RowReader& row) {
  HostRow host;
  host.host = std::string(row.Text());
  host.changed = row.Read<uint64_t>();
  host.forgotten = row.Read<uint8_t>() != 0;
  host.agent = std::string(row.Text());
  host.boot = std::string(row.Text());
  host.version = std::string(row.Text());
  host.state = std::string(row.Text());
  host.collector = row.Read<uint64_t>();
  host.connected = row.Read<uint8_t>() != 0;
  for (int64_t* time : {&host.first_seen, &host.last_seen, &host.first_event, &host.oldest_pending,
                        &host.not_watched}) {
    *time = row.Read<int64_t>();
  }
  return host;
}

}  // namespace postern::server::clickhouse
