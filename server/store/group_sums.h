// SPDX-License-Identifier: Apache-2.0
// Attempts summed up by what they are grouped by, over all partitions.
#ifndef POSTERN_SERVER_STORE_GROUP_SUMS_H_
#define POSTERN_SERVER_STORE_GROUP_SUMS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "server/store/event_store.h"
#include "server/store/group_key.h"

namespace postern::server {

struct Sums {
  // Attempts.
  int64_t count = 0;
  // ns.
  int64_t first = std::numeric_limits<int64_t>::max();
  int64_t last = 0;

  void Add(const Sums& other);
};

// However many groups there are, memory holds a bounded number. The groups are
// divided into shares by the hash of their whole key, which nobody who makes
// attempts can choose. When memory is full the last shares are left to a further
// pass over the rows; those that stay have been counted from the first row on, so
// that none is begun anew.
class GroupSums {
 public:
  // 3.5 million groups by IPv4 destination, or 1.5 million of texts of 40 bytes.
  static constexpr size_t kMaxBytes = size_t{256} << 20;

  // At most `limit` groups are answered. `max_bytes` is what the groups of a pass may
  // take; one share of kShares always does.
  GroupSums(std::vector<GroupField> fields, uint32_t limit, size_t max_bytes = kMaxBytes);

  const std::vector<GroupField>& fields() const { return fields_; }

  // True: walk through all rows (again). False: Take() has the answer.
  bool NextPass();
  // `texts` of the fields that are texts, in their order.
  void Add(const GroupNumbers& numbers, const std::vector<absl::string_view>& texts,
           const Sums& sums);
  // By count, highest first, then by the last attempt.
  GroupPage Take();

  int passes() const { return passes_; }

 private:
  // 1,024 times the memory is more than the groups of any store.
  static constexpr int kShareBits = 10;
  static constexpr size_t kShares = size_t{1} << kShareBits;
  static constexpr size_t kMaxWaiting = 32;

  struct Share {
    absl::flat_hash_map<uint64_t, Sums> narrow;
    absl::flat_hash_map<std::string, Sums> wide;
    size_t bytes = 0;
  };
  struct Group {
    Sums sums;
    uint64_t narrow_key = 0;
    // Empty: the other one is its key.
    std::string wide_key;
  };

  struct WaitingRow {
    uint64_t key = 0;
    Sums sums;
  };

  static size_t ShareOf(size_t hash);
  void AddWaiting();
  template <typename Key>
  void AddTo(absl::flat_hash_map<Key, Sums> Share::*groups, Key key, const Sums& sums);
  void Grew(Share& share, size_t bytes);
  void LeaveToNextPass();
  void KeepLargest();
  void Keep(Group group);
  static bool Before(const Group& a, const Group& b);

  const std::vector<GroupField> fields_;
  const uint32_t limit_;
  const size_t max_bytes_;
  std::vector<Share> shares_;
  // Of this pass: begin_ <= share < end_.
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t bytes_ = 0;
  int passes_ = 0;
  // Rows whose places in memory are on their way to the processor: millions of groups
  // are in none of its caches.
  std::array<WaitingRow, kMaxWaiting> waiting_;
  size_t waiting_count_ = 0;
  // The largest of the passes before; cut down to one more than limit_ when they are
  // twice as many.
  std::vector<Group> largest_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_GROUP_SUMS_H_
