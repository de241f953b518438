// SPDX-License-Identifier: Apache-2.0
// How much of the spool each user's undelivered events take. Not thread-safe.
#ifndef POSTERN_AGENT_SPOOL_SHARES_H_
#define POSTERN_AGENT_SPOOL_SHARES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "agent/spool/format.h"

namespace postern::spool {

class Shares {
 public:
  struct Key {
    int64_t uid = kNoUid;
    Weight weight = Weight::kFixed;
    bool operator<(const Key& other) const {
      return std::pair(uid, weight) < std::pair(other.uid, other.weight);
    }
  };

  // Of kAllowed and kDenied; others are no one's share.
  void Add(const Key& key, int64_t bytes) {
    if (key.weight != Weight::kAllowed && key.weight != Weight::kDenied) return;
    int64_t& share = bytes_[key];
    share += bytes;
    if (share <= 0) bytes_.erase(key);
  }

  // Of the user who takes the most: what goes first, allowed before denied.
  // Leaves out `exhausted`.
  std::optional<Key> Heaviest(const std::set<Key>& exhausted) const {
    std::map<int64_t, int64_t> by_uid;
    for (const auto& [key, bytes] : bytes_) by_uid[key.uid] += bytes;
    std::optional<Key> heaviest;
    int64_t most = 0;
    for (const auto& [key, bytes] : bytes_) {
      // Of one uid kAllowed comes first, and an equal sum does not replace it.
      if (exhausted.count(key) == 0 && by_uid[key.uid] > most) {
        heaviest = key;
        most = by_uid[key.uid];
      }
    }
    return heaviest;
  }

 private:
  std::map<Key, int64_t> bytes_;
};

}  // namespace postern::spool

#endif  // POSTERN_AGENT_SPOOL_SHARES_H_
