// SPDX-License-Identifier: Apache-2.0
// A filter as SQL, for one partition. Every value is a bound parameter; each
// source is one range of one index.
#ifndef POSTERN_SERVER_STORE_EVENT_SELECTION_H_
#define POSTERN_SERVER_STORE_EVENT_SELECTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/store/event_filter.h"
#include "server/store/sqlite.h"

namespace postern::server {

// Parameters of a statement, in order. Addresses are bound as blobs.
class Parameters {
 public:
  // Answers with the SQL that stands for the value: "?".
  absl::string_view Add(int64_t value);
  absl::string_view Add(absl::string_view text);
  absl::string_view Add(const Address& address);
  void BindTo(Statement& statement) const;

 private:
  std::vector<std::variant<int64_t, std::string, Address>> values_;
};

// Events of one host (all hosts: nullopt) and one span class.
struct EventSource {
  std::optional<std::string> host;
  int span = 0;
};

// The sources that make up a filter's events in a partition that holds the span
// classes `spans` (bit k: class k). A few hosts are walked one by one; many by
// time, with the hosts as one more condition.
std::vector<EventSource> SourcesOf(const EventFilter& filter, int64_t spans);

// Whether the filter asks for what stands in `traits`.
bool FiltersTraits(const EventFilter& filter);

// "FROM events e … WHERE …" for the events of `source` that match; appends its
// values to `parameters`. Where it `joins` traits and hosts their columns are t's
// and h's.
std::string FromEvents(const EventFilter& filter, const EventSource& source, bool joins,
                       Parameters& parameters);
// Likewise of the rows that came after `id`, whatever the filter's window.
std::string FromEventsAfter(const EventFilter& filter, int64_t id, Parameters& parameters);
// "FROM summaries e … WHERE …" for the hours first <= hour < end.
std::string FromSummaries(const EventFilter& filter, int64_t first_hour, int64_t end_hour,
                          Parameters& parameters);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_EVENT_SELECTION_H_
