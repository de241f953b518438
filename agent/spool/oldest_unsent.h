// SPDX-License-Identifier: Apache-2.0
// A time that no event behind a position is older than, without reading them all
// again for each batch. Not thread-safe.
//
// Rows are in the order of delivery, and their times are not: a gap may tell of
// the time before the rows in front of it. So rows are kept in two parts, each by
// its last id and oldest time; when the first part is sent, the second takes its
// place. The answer may be older than the oldest event, never younger.
#ifndef POSTERN_AGENT_SPOOL_OLDEST_UNSENT_H_
#define POSTERN_AGENT_SPOOL_OLDEST_UNSENT_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace postern::spool {

class OldestUnsent {
 public:
  // Nothing is known any more.
  void Forget() { *this = OldestUnsent(); }
  // Begins anew with the rows behind `id`: their last id, and their oldest time.
  void Begin(int64_t id, int64_t last_id, int64_t oldest_ns) {
    from_id_ = id;
    first_ = {last_id, oldest_ns};
    second_ = {};
  }
  // A row behind all others.
  void Add(int64_t id, int64_t time_ns) { second_ = {id, std::min(second_.oldest_ns, time_ns)}; }

  // Whether After() can answer: what lies in front of its last question is forgotten.
  bool Knows(int64_t id) const { return id >= from_id_; }
  // Nothing where there is no row behind `id`.
  std::optional<int64_t> After(int64_t id) {
    from_id_ = id;
    if (id >= first_.last_id) first_ = std::exchange(second_, {});
    if (id >= first_.last_id) return std::nullopt;
    return std::min(first_.oldest_ns, second_.oldest_ns);
  }

 private:
  struct Part {
    int64_t last_id = 0;
    int64_t oldest_ns = std::numeric_limits<int64_t>::max();
  };
  int64_t from_id_ = std::numeric_limits<int64_t>::max();
  Part first_;
  Part second_;
};

}  // namespace postern::spool

#endif  // POSTERN_AGENT_SPOOL_OLDEST_UNSENT_H_
