// SPDX-License-Identifier: Apache-2.0
// A batch's events as the store's thread writes them. Whoever brings them takes
// them apart, so that the one thread that writes has no more to do than to write.
#ifndef POSTERN_SERVER_STORE_PREPARED_EVENTS_H_
#define POSTERN_SERVER_STORE_PREPARED_EVENTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "postern/v1/event.pb.h"
#include "server/store/event_row.h"

namespace postern::server {

class PreparedEvents {
 public:
  struct Traits {
    // Of the bytes; the same for ever, files hold it.
    int64_t hash;
    std::string bytes;
  };
  struct Event {
    // `kind` 0: only holds a position.
    EventRow row;
    // Index in traits().
    size_t traits;
    size_t rest_begin;
    size_t rest_size;
  };

  void Reserve(size_t events) { events_.reserve(events); }
  // `event` is taken apart; its `host` does not matter.
  void Add(v1::Event& event);

  const std::vector<Event>& events() const { return events_; }
  // Each once.
  const std::vector<Traits>& traits() const { return traits_; }
  absl::string_view RestOf(const Event& event) const {
    return absl::string_view(rests_).substr(event.rest_begin, event.rest_size);
  }
  // What it takes in memory, about.
  size_t bytes() const;

 private:
  size_t IndexOf(std::string traits);

  std::vector<Event> events_;
  std::vector<Traits> traits_;
  std::string rests_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_PREPARED_EVENTS_H_
