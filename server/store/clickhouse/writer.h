// SPDX-License-Identifier: Apache-2.0
// What changes a ClickHouse store. On the store's thread.
//
// There are no transactions. What belongs together is one insert into one partition of
// `events`, which the server takes whole or not at all; marks are what the rows say, so
// that they go with their events whatever happens. Rows that came in twice have the same
// key, and the questions see one of them.
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_WRITER_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_WRITER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/store/clickhouse/connection.h"
#include "server/store/clickhouse/days.h"
#include "server/store/clickhouse/event_rows.h"
#include "server/store/clickhouse/host_row.h"
#include "server/store/clickhouse/lease.h"
#include "server/store/clickhouse/schema.h"
#include "server/store/event_store.h"

namespace postern::server::clickhouse {

class Writer {
 public:
  // What a round will touch.
  struct Touched {
    std::set<std::string> hosts;
    // Hosts whose rows others may have changed since.
    std::set<std::string> afresh;
    // Of which host, epochs that have to be this collector's.
    std::map<uint64_t, std::string> epochs;
    // Those of them that are hardly known: no need to look for them among all hosts.
    std::set<uint64_t> fresh;
    // Epochs of which the mark alone is wanted.
    std::map<uint64_t, std::string> marks;
  };

  // Both outlive it.
  Writer(Connection& connection, Lease& lease, const Features& features)
      : connection_(connection), lease_(lease), features_(features), days_(connection, features) {}

  // A round: Begin(), any of the methods behind it, Commit(). Where either fails nothing
  // that was answered in between holds.
  absl::Status Begin(const Touched& touched, int64_t now);
  absl::Status Commit();

  // The statuses are the stream's own: kAlreadyExists, one of the epochs is another
  // collector's.
  absl::StatusOr<std::vector<v1::EpochMark>> Welcome(const v1::Hello& hello);
  // Also kFailedPrecondition for a hole, and kUnavailable for a stream whose epoch may
  // have been another collector's meanwhile; nothing was changed.
  absl::StatusOr<uint64_t> Append(const EncodedBatch& batch);
  void Heard(const std::string& host, const v1::AgentState& state);
  void Left(const std::string& host);
  void Record(const v1::Event& event);
  // Of a round that failed: the next one says so.
  void LeftUnheard(const std::string& host) { left_.insert(host); }

  // Between rounds.
  absl::Status Maintain(absl::Duration retention, int64_t now) {
    return days_.Maintain(retention, now);
  }

 private:
  struct Claimed {
    std::string host;
    // Not known where an insert failed: whether it was stored is the server's to say.
    std::optional<uint64_t> mark;
  };

  absl::Status KeepLease();
  absl::Status LoadHosts(const Touched& touched);
  absl::Status ClaimEpochs(const Touched& touched);
  absl::Status LoadMarks(const Touched& touched);
  // Adds what it finds to `marks`.
  absl::Status ReadMarks(const std::string& condition, std::map<uint64_t, uint64_t>& marks);

  // Null where it is not known.
  HostRow* Known(const std::string& host);
  HostRow& KnownOrNew(const std::string& host);
  uint64_t Mark(uint64_t epoch) const;
  void SetMark(uint64_t epoch, uint64_t mark);
  void AddRow(absl::string_view row);
  void AddOwn(v1::Event event);
  absl::Status AlreadyElsewhere(const std::string& host) const;
  void Forget();

  Connection& connection_;
  Lease& lease_;
  const Features& features_;
  Days days_;
  // The collector that the claims were made as.
  uint64_t collector_ = 0;
  absl::flat_hash_map<uint64_t, Claimed> claimed_;
  // Claimed until the lease was lost: their streams have to begin anew.
  std::map<uint64_t, std::string> lost_;
  // To be let go, until the server has heard of it.
  std::set<uint64_t> released_;
  std::set<std::string> left_;
  absl::flat_hash_map<std::string, HostRow> hosts_;

  // Of the round.
  int64_t now_ = 0;
  std::set<uint64_t> elsewhere_;
  std::map<uint64_t, uint64_t> other_marks_;
  std::set<std::string> changed_hosts_;
  std::set<uint64_t> moved_;
  // Inserts: each is one block of one partition.
  std::vector<std::string> inserts_;
  size_t rows_in_last_ = 0;
};

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_WRITER_H_
