// SPDX-License-Identifier: Apache-2.0
// What changes a store: events and marks in the partition, hosts in the catalog.
// On the store's thread.
//
// A transaction is one in each of the two files. The partition commits first: it
// alone decides what is stored and how far each epoch has come. What the catalog
// then lacks after a crash is what agents say anew, or what is made up for from the
// partition at the next start; until then it claims less than there is.
#ifndef POSTERN_SERVER_STORE_SQLITE_WRITER_H_
#define POSTERN_SERVER_STORE_SQLITE_WRITER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/event_store.h"
#include "server/store/partitions.h"
#include "server/store/prepared_events.h"
#include "server/store/sqlite.h"

namespace postern::server {

// An EventBatch, its events prepared.
struct PreparedBatch {
  explicit PreparedBatch(EventBatch batch);

  std::string host;
  uint64_t epoch;
  uint64_t first_position;
  uint64_t oldest_pending_ns;
  PreparedEvents events;
};

class SqliteWriter {
 public:
  // Both outlive it.
  static absl::StatusOr<std::unique_ptr<SqliteWriter>> Create(Database& catalog,
                                                              Partitions& partitions);

  // Around the methods below.
  absl::Status Begin(int64_t now);
  absl::Status Commit();
  void Rollback();

  absl::StatusOr<std::vector<v1::EpochMark>> Welcome(const v1::Hello& hello, int64_t now);
  // The inner status is the batch's own (kFailedPrecondition for a hole; nothing
  // was changed), the outer one the database's.
  absl::StatusOr<absl::StatusOr<uint64_t>> Append(const PreparedBatch& batch, int64_t now);
  absl::Status Heard(const std::string& host, const v1::AgentState& state, int64_t now);
  absl::Status Left(const std::string& host);
  // Each is connected again by what it says next.
  absl::Status ForgetConnections();
  // Of a host that is known; of another one nothing is recorded.
  absl::Status Record(const v1::Event& event, int64_t now);

 private:
  SqliteWriter(Database& catalog, Partitions& partitions, Statement mark, Statement seen,
               Statement stored, Statement welcome, Statement heard, Statement left,
               Statement known)
      : catalog_(catalog),
        partitions_(partitions),
        mark_(std::move(mark)),
        seen_(std::move(seen)),
        stored_(std::move(stored)),
        welcome_(std::move(welcome)),
        heard_(std::move(heard)),
        left_(std::move(left)),
        known_(std::move(known)) {}

  // The partition's, or that of the partitions before it, whichever is further.
  absl::StatusOr<uint64_t> Mark(uint64_t epoch);
  struct KnownHost {
    std::string agent;
    // Up to when its record is whole, as far as it has said.
    int64_t until = 0;
  };
  absl::StatusOr<std::optional<KnownHost>> Find(const std::string& host);
  absl::Status Insert(const v1::Event& event, int64_t now);
  // Another installation goes by the name of a known host: what the one before had
  // not sent is gone, and nobody knows when it ended. A GAP says so.
  absl::Status NoteReinstallation(const v1::Hello& hello, int64_t now);
  // Some of the agent's events were delivered, and not to this store. A GAP stands for
  // them, and their epoch's mark moves to where the agent is.
  absl::Status NoteElsewhere(const v1::Hello& hello, int64_t now);

  Database& catalog_;
  Partitions& partitions_;
  // Between Begin() and Commit().
  PartitionWriter* partition_ = nullptr;
  Statement mark_;
  Statement seen_;
  Statement stored_;
  Statement welcome_;
  Statement heard_;
  Statement left_;
  Statement known_;
  // Behind the statements: it goes before them.
  std::optional<Transaction> transaction_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_SQLITE_WRITER_H_
