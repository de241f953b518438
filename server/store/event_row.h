// SPDX-License-Identifier: Apache-2.0
// An event as the columns of table `events` have it. Plain data.
#ifndef POSTERN_SERVER_STORE_EVENT_ROW_H_
#define POSTERN_SERVER_STORE_EVENT_ROW_H_

#include <cstdint>
#include <optional>
#include <string>

#include "postern/v1/event.pb.h"
#include "server/store/address.h"

namespace postern::server {

struct EventRow {
  int span = 0;
  // ns; time <= last_time. Of a GAP the times that it tells of.
  int64_t time = 0;
  int64_t last_time = 0;
  int64_t kind = 0;
  // Repeats included; of a GAP the events that are missing.
  int64_t attempts = 0;
  int64_t verdict = 0;
  std::optional<int64_t> uid;
  std::optional<int64_t> port;
  std::optional<Address> destination;
};

// Whatever an event claims fits: times and counts past what a column holds are
// cut to the largest, an end before its beginning becomes the beginning.
EventRow RowOf(const v1::Event& event);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_EVENT_ROW_H_
