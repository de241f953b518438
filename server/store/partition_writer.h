// SPDX-License-Identifier: Apache-2.0
// Adds events to the partition that is written to, and the marks of the epochs
// they came in. On the store's thread.
#ifndef POSTERN_SERVER_STORE_PARTITION_WRITER_H_
#define POSTERN_SERVER_STORE_PARTITION_WRITER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/partition.h"
#include "server/store/prepared_events.h"
#include "server/store/sqlite.h"

namespace postern::server {

class PartitionWriter {
 public:
  // Makes the file where it is missing.
  static absl::StatusOr<std::unique_ptr<PartitionWriter>> Open(const std::string& file);

  // Between Begin() and Commit(), or Rollback(): one transaction.
  absl::Status Begin();
  absl::Status Commit();
  void Rollback();
  bool in_transaction() const { return transaction_.has_value(); }

  // From events()[from] on. `now` (ns): they arrived. Answers with the earliest time
  // among them; the largest number where there is none.
  absl::StatusOr<int64_t> Insert(const std::string& host, const PreparedEvents& events, size_t from,
                                 int64_t now);
  // Nullopt for an epoch that has none here.
  absl::StatusOr<std::optional<uint64_t>> Mark(uint64_t epoch);
  absl::Status SetMark(uint64_t epoch, const std::string& host, uint64_t position);

  // The rest of the rows goes into the summaries; outside of a transaction.
  absl::Status SummarizeAll();
  // Whether the log could be folded into the file: no reader is still in it. The last
  // thing to do with a writer.
  absl::StatusOr<bool> FoldLog();

  const PartitionBounds& bounds() const { return bounds_; }
  Database& database() { return *database_; }

 private:
  PartitionWriter(std::unique_ptr<Database> database, PartitionBounds bounds, Statement insert,
                  Statement find_traits, Statement add_traits, Statement host_id,
                  Statement touch_host, Statement mark, Statement set_mark, Statement set_bounds)
      : database_(std::move(database)),
        bounds_(bounds),
        insert_(std::move(insert)),
        find_traits_(std::move(find_traits)),
        add_traits_(std::move(add_traits)),
        host_id_(std::move(host_id)),
        touch_host_(std::move(touch_host)),
        mark_(std::move(mark)),
        set_mark_(std::move(set_mark)),
        set_bounds_(std::move(set_bounds)) {}

  struct Host {
    int64_t id;
    int64_t first_event;
  };

  // What is remembered may no longer be in the file.
  void Forget();
  absl::StatusOr<int64_t> TraitsId(const PreparedEvents::Traits& traits);
  absl::StatusOr<int64_t> HostId(const std::string& host, int64_t time);
  absl::Status WriteBounds();

  std::unique_ptr<Database> database_;
  PartitionBounds bounds_;
  bool bounds_changed_ = false;
  Statement insert_;
  Statement find_traits_;
  Statement add_traits_;
  Statement host_id_;
  Statement touch_host_;
  Statement mark_;
  Statement set_mark_;
  Statement set_bounds_;
  // Behind the statements: it goes before them.
  std::optional<Transaction> transaction_;
  absl::flat_hash_map<std::string, int64_t> traits_;
  size_t traits_bytes_ = 0;
  absl::flat_hash_map<std::string, Host> hosts_;
};

// Sets `destination` as the rows have it: IPv4 as a number, IPv6 as 16 bytes.
void BindDestination(Statement& statement, int parameter, const Address& address);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_PARTITION_WRITER_H_
