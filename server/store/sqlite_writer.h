// SPDX-License-Identifier: Apache-2.0
// The statements that change a store. Each method belongs into a transaction of
// the caller's; after a rollback Forget() must follow. On the store's thread.
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
#include "server/store/name_table.h"
#include "server/store/sqlite.h"

namespace postern::server {

class SqliteWriter {
 public:
  // `database` outlives it, with its schema prepared.
  static absl::StatusOr<std::unique_ptr<SqliteWriter>> Create(Database& database);

  absl::StatusOr<std::vector<v1::EpochMark>> Welcome(const v1::Hello& hello, int64_t now);
  // The inner status is the batch's own (kFailedPrecondition for a hole; nothing
  // was changed), the outer one the database's.
  absl::StatusOr<absl::StatusOr<uint64_t>> Append(EventBatch& batch, int64_t now);
  absl::Status Heard(const std::string& host, const v1::AgentState& state, int64_t now);
  absl::Status Left(const std::string& host);
  absl::Status Record(const v1::Event& event);
  void Forget() { names_.Forget(); }

 private:
  SqliteWriter(NameTable names, Statement insert_event, Statement mark, Statement set_mark,
               Statement host_id, Statement welcome, Statement heard, Statement left,
               Statement touch, Statement set_pending, Statement known)
      : names_(std::move(names)),
        insert_event_(std::move(insert_event)),
        mark_(std::move(mark)),
        set_mark_(std::move(set_mark)),
        host_id_(std::move(host_id)),
        welcome_(std::move(welcome)),
        heard_(std::move(heard)),
        left_(std::move(left)),
        touch_(std::move(touch)),
        set_pending_(std::move(set_pending)),
        known_(std::move(known)) {}

  absl::StatusOr<int64_t> Mark(uint64_t epoch);
  absl::Status SetMark(uint64_t epoch, int64_t host_id, uint64_t position);
  struct KnownHost {
    int64_t id = 0;
    std::string agent;
    // Up to when its record is whole, as far as it has said.
    int64_t until = 0;
  };
  absl::StatusOr<std::optional<KnownHost>> Find(const std::string& host);
  // Some of the agent's events were delivered, and not to this store. A GAP stands for
  // them, and their epoch's mark moves to where the agent is.
  absl::Status NoteElsewhere(const v1::Hello& hello, int64_t now);
  // Another installation goes by the name of a known host: what the one before had
  // not sent is gone, and nobody knows when it ended. A GAP says so.
  absl::Status NoteReinstallation(const v1::Hello& hello, int64_t now);
  absl::Status SetPending(int64_t host_id, uint64_t oldest_pending_ns);
  absl::StatusOr<int64_t> HostId(const std::string& host, int64_t now);
  // Answers with the time of the event.
  absl::StatusOr<int64_t> Insert(const v1::Event& event, int64_t host_id);
  absl::Status BindName(int parameter, const std::string& name, int64_t last_time);

  NameTable names_;
  Statement insert_event_;
  Statement mark_;
  Statement set_mark_;
  Statement host_id_;
  Statement welcome_;
  Statement heard_;
  Statement left_;
  Statement touch_;
  Statement set_pending_;
  Statement known_;
  // Reused, for its memory.
  std::string body_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_SQLITE_WRITER_H_
