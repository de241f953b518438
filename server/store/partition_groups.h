// SPDX-License-Identifier: Apache-2.0
// Rows of one partition summed up by its numbers, then by the texts they stand
// for.
#ifndef POSTERN_SERVER_STORE_PARTITION_GROUPS_H_
#define POSTERN_SERVER_STORE_PARTITION_GROUPS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/event_store.h"
#include "server/store/group_sums.h"
#include "server/store/sqlite.h"

namespace postern::server {

class PartitionGroups {
 public:
  PartitionGroups(Database& partition, const std::vector<GroupField>& fields, GroupSums& sums);

  // What Add() wants to be selected, of a table that goes by `e`: what is not
  // grouped by is a constant, so that it need not be read. Followed by attempts,
  // first and last.
  std::string Columns(bool of_summaries) const;
  // Sums up the rows of `select` to their end. False: `sums` has enough.
  absl::StatusOr<bool> Add(Statement select);
  // Hands over what is left.
  absl::StatusOr<bool> Flush();

 private:
  struct Key {
    int64_t host = 0;
    int64_t traits = 0;
    int64_t verdict = 0;
    int64_t port = 0;
    int64_t ipv4 = -1;
    std::string ipv6;

    template <typename H>
    friend H AbslHashValue(H state, const Key& key) {
      return H::combine(std::move(state), key.host, key.traits, key.verdict, key.port, key.ipv4,
                        key.ipv6);
    }
    bool operator==(const Key& other) const {
      return host == other.host && traits == other.traits && verdict == other.verdict &&
             port == other.port && ipv4 == other.ipv4 && ipv6 == other.ipv6;
    }
  };

  bool Wants(GroupField field) const;
  bool WantsTraits() const;
  absl::StatusOr<std::string> HostName(int64_t id);
  absl::Status ReadTraits(int64_t id);
  absl::StatusOr<std::string> Value(GroupField field, const Key& key);

  Database& partition_;
  const std::vector<GroupField>& fields_;
  GroupSums& sums_;
  absl::flat_hash_map<Key, Sums> groups_;
  absl::flat_hash_map<int64_t, std::string> hosts_;
  std::optional<Statement> read_traits_;
  // Of the traits that were read last.
  int64_t traits_id_ = -1;
  std::array<std::string, 8> traits_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_PARTITION_GROUPS_H_
