// SPDX-License-Identifier: Apache-2.0
// Rows of one partition summed up by its numbers, then by the texts they stand
// for.
#ifndef POSTERN_SERVER_STORE_PARTITION_GROUPS_H_
#define POSTERN_SERVER_STORE_PARTITION_GROUPS_H_

#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/store/event_selection.h"
#include "server/store/group_key.h"
#include "server/store/group_sums.h"
#include "server/store/sqlite.h"

namespace postern::server {

class PartitionGroups {
 public:
  // Both outlive it. One at a time on a connection.
  PartitionGroups(Database& partition, GroupSums& sums);
  ~PartitionGroups();
  PartitionGroups(const PartitionGroups&) = delete;
  PartitionGroups& operator=(const PartitionGroups&) = delete;

  // Sums up the rows of `from`: "FROM events e WHERE ...", or of summaries.
  absl::Status Add(bool of_summaries, absl::string_view from, const Parameters& parameters);
  // Hands over what is left.
  absl::Status Flush();

 private:
  // By the numbers that host and traits have in this partition.
  struct Key {
    int64_t host = 0;
    int64_t traits = 0;
    GroupNumbers numbers;

    template <typename H>
    friend H AbslHashValue(H state, const Key& key) {
      return H::combine(std::move(state), key.host, key.traits, key.numbers);
    }
    friend bool operator==(const Key&, const Key&) = default;
  };

  // The aggregate function that SQLite calls for each row: a row that came by way of
  // Statement::Step() would cost half as much again.
  static void AddRow(sqlite3_context* context, int count, sqlite3_value** values);
  absl::Status AddRow(sqlite3_value** values);
  bool Wants(GroupField field) const;
  // Lives until the next group's is asked for.
  absl::StatusOr<absl::string_view> HostName(int64_t id);
  absl::Status ReadTraits(int64_t id);

  Database& partition_;
  GroupSums& sums_;
  const bool wants_destination_;
  const bool wants_texts_;
  // Of the fields that are traits, in their order; traits_ has the values of those
  // that were read last.
  const std::vector<const char*> traits_columns_;
  std::vector<std::string> traits_;
  int64_t traits_id_ = -1;
  // Of the first row that failed.
  absl::Status failure_;
  absl::flat_hash_map<Key, Sums> groups_;
  absl::flat_hash_map<int64_t, std::string> hosts_;
  std::optional<Statement> read_traits_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_PARTITION_GROUPS_H_
