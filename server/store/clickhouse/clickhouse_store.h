// SPDX-License-Identifier: Apache-2.0
// An EventStore in a ClickHouse database, which any number of collectors may share.
// docs/store.md is its document.
//
// One thread writes: it takes all that is queued into one round of inserts. Readers have
// connections of their own and wait for nobody. Without the server everything fails with
// kUnavailable, and goes on when it is back.
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_CLICKHOUSE_STORE_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_CLICKHOUSE_STORE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "server/store/clickhouse/connection.h"
#include "server/store/clickhouse/event_rows.h"
#include "server/store/clickhouse/lease.h"
#include "server/store/clickhouse/reader.h"
#include "server/store/clickhouse/schema.h"
#include "server/store/clickhouse/writer.h"
#include "server/store/event_store.h"
#include "server/store/job_thread.h"

namespace postern::server {

struct ClickHouseStoreOptions {
  clickhouse::ServerAddress address;
  // This collector's among those that share the database: its machine and run_dir.
  std::string name;
  // Events that arrived longer ago are dropped, a day at a time; infinite: kept for ever.
  absl::Duration retention = absl::InfiniteDuration();
  // Nanoseconds since the epoch.
  std::function<int64_t()> now;
  // What may wait for the store's thread; more is refused with kResourceExhausted. One
  // batch alone is always taken.
  size_t max_queued_bytes = size_t{64} << 20;
};

class ClickHouseStore : public EventStore {
 public:
  // Where the server cannot be reached the store opens all the same, with one line in
  // the log. Fails with kFailedPrecondition for a database that is not ours or newer,
  // kPermissionDenied, and what else a server refuses.
  static absl::StatusOr<std::unique_ptr<ClickHouseStore>> Open(ClickHouseStoreOptions options);
  // Stores what is queued, answers it, and lets go of what it claimed.
  ~ClickHouseStore() override;

  void Welcome(v1::Hello hello, MarksDone done) override;
  void Append(EventBatch batch, MarkDone done) override;
  void Heard(std::string host, v1::AgentState state) override;
  void Left(std::string host) override;
  void Record(v1::Event event) override;
  absl::StatusOr<bool> Find(const EventFilter& filter, uint32_t limit, const Cancelled& cancelled,
                            absl::FunctionRef<bool(const v1::Event&)> sink) override;
  absl::StatusOr<GroupPage> Group(const EventFilter& filter, const std::vector<GroupField>& fields,
                                  uint32_t limit, const Cancelled& cancelled) override;
  absl::StatusOr<v1::Completeness> Complete(const EventFilter& filter) override;
  absl::StatusOr<std::vector<v1::Host>> Hosts() override;

 private:
  struct Greeting {
    v1::Hello hello;
    MarksDone done;
    absl::StatusOr<std::vector<v1::EpochMark>> answer;
  };
  struct Delivery {
    std::unique_ptr<clickhouse::EncodedBatch> batch;
    MarkDone done;
    absl::StatusOr<uint64_t> answer;
  };
  struct Word {
    std::string host;
    v1::AgentState state;
  };
  struct Farewell {
    std::string host;
  };
  struct Note {
    v1::Event event;
  };
  struct Job {
    std::variant<Greeting, Delivery, Word, Farewell, Note> what;
    size_t bytes = 0;
    bool refused = false;

    void Refuse() {
      refused = true;
      if (auto* delivery = std::get_if<Delivery>(&what)) delivery->batch.reset();
    }
  };

  ClickHouseStore(ClickHouseStoreOptions options,
                  std::unique_ptr<clickhouse::Connection> connection);

  void Enqueue(Job job) { jobs_->Add(std::move(job)); }
  // Tables and lease, where they are not there yet.
  absl::Status Prepare();
  void StoreJobs(std::deque<Job> jobs);
  // Takes those that go into one round: what comes behind a host's farewell is the next
  // one's, since a round claims what all of it needs before it begins.
  static std::deque<Job> NextRound(std::deque<Job>& jobs);
  void StoreRound(std::deque<Job> jobs);
  absl::Status RunRound(std::deque<Job>& jobs);
  // Answers when to call it again.
  absl::Duration Maintain();
  // Says when the server goes, and when it is back.
  void Tell(const absl::Status& status);
  absl::StatusOr<std::unique_ptr<clickhouse::Reader>> TakeReader();
  void GiveBack(std::unique_ptr<clickhouse::Reader> reader);
  // What `ask` answers.
  template <typename Ask>
  auto Answer(const Ask& ask) -> decltype(ask(std::declval<clickhouse::Reader&>()));

  const ClickHouseStoreOptions options_;
  // The store's thread alone, once it runs.
  std::unique_ptr<clickhouse::Connection> connection_;
  clickhouse::Features features_;
  clickhouse::Lease lease_;
  clickhouse::Writer writer_;
  bool prepared_ = false;
  bool failing_ = false;
  bool maintenance_failed_ = false;

  Mutex mutex_;
  std::vector<std::unique_ptr<clickhouse::Reader>> resting_ ABSL_GUARDED_BY(mutex_);

  std::unique_ptr<JobThread<Job>> jobs_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_CLICKHOUSE_STORE_H_
