// SPDX-License-Identifier: Apache-2.0
// A filter as ClickHouse's SQL.
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_SELECTION_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_SELECTION_H_

#include <string>

#include "server/store/event_filter.h"

namespace postern::server::clickhouse {

// Conditions on table `events`, joined by AND: those events whose times touch the
// window, so that the table's key serves it.
std::string InWindow(const TimeWindow& window);
// Likewise of the whole filter.
std::string Matching(const EventFilter& filter);

// What Find() answers with, and what Group() counts.
std::string IsFound(const EventFilter& filter);
std::string IsCounted(const EventFilter& filter);

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_SELECTION_H_
