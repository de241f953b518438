// SPDX-License-Identifier: Apache-2.0
// Attempts summed up by the texts they are grouped by, over partitions whose
// numbers for the same text differ.
#ifndef POSTERN_SERVER_STORE_GROUP_SUMS_H_
#define POSTERN_SERVER_STORE_GROUP_SUMS_H_

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "postern/v1/query.pb.h"
#include "server/store/event_store.h"

namespace postern::server {

struct Sums {
  // Attempts.
  int64_t count = 0;
  // ns.
  int64_t first = std::numeric_limits<int64_t>::max();
  int64_t last = 0;

  void Add(const Sums& other);
};

// However many groups there are, memory holds a bounded number: where there are
// more, the question is walked through in several passes, each of which looks at
// a share of the groups: by the hash of their destination where they have one, so
// that the rows of other passes cost little, else by that of their texts.
class GroupSums {
 public:
  // At most `limit` groups are answered. The default is some 100 MB.
  GroupSums(uint32_t limit, bool by_destination, size_t max_in_memory = 1'000'000)
      : limit_(limit), by_destination_(by_destination), max_in_memory_(max_in_memory) {}

  // True: walk through all rows (again). False: Take() has the answer.
  bool NextPass();
  // Whether this pass takes rows whose destination hashes to that.
  bool Takes(uint64_t destination_hash) const {
    return passes_ == 1 || destination_hash % passes_ == pass_;
  }
  // `values` one a field. False when this pass cannot be brought to its end: leave
  // the rows and call NextPass().
  bool Add(const std::vector<std::string>& values, const Sums& sums);
  // By count, highest first.
  GroupPage Take();

 private:
  void KeepLargest();

  const uint32_t limit_;
  const bool by_destination_;
  const size_t max_in_memory_;
  uint64_t passes_ = 1;
  uint64_t pass_ = 0;
  bool began_ = false;
  bool overflowed_ = false;
  absl::flat_hash_map<std::string, Sums> groups_;
  // Of the passes before; at most limit_ and one.
  std::vector<std::pair<std::string, Sums>> largest_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_GROUP_SUMS_H_
