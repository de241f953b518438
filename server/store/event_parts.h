// SPDX-License-Identifier: Apache-2.0
// An event as it is stored: what it shares with others (traits: who made the
// attempt, by which rule it was judged), what is in the row's columns, and the
// rest. Taken apart and put together again, nothing is lost.
#ifndef POSTERN_SERVER_STORE_EVENT_PARTS_H_
#define POSTERN_SERVER_STORE_EVENT_PARTS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "postern/v1/event.pb.h"
#include "server/store/event_row.h"

namespace postern::server {

struct EventParts {
  // A serialized v1::Event without host, times, process numbers, destination:
  // the same for all attempts of one sort.
  std::string traits;
  // A serialized v1::Event of what is neither in the traits nor in the row.
  std::string rest;
};

// Takes `event` apart, which is left with its traits. `row` is RowOf(event).
void Split(v1::Event& event, const EventRow& row, EventParts& parts);

// False for what cannot be parsed.
bool Join(absl::string_view host, absl::string_view traits, absl::string_view rest,
          const EventRow& row, v1::Event& event);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_EVENT_PARTS_H_
