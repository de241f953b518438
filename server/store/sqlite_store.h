// SPDX-License-Identifier: Apache-2.0
// An EventStore in SQLite files: a catalog, and a partition for each day's events.
// docs/store.md is its document.
//
// One thread writes: it takes all that is queued into one transaction, and
// between those begins and seals partitions, and drops those older than the
// retention. Readers have connections of their own and wait for nobody.
//
// A store whose disk has no room for opening it is read only: questions are answered
// from the files as they lie there, and it is opened to write once there is room.
#ifndef POSTERN_SERVER_STORE_SQLITE_STORE_H_
#define POSTERN_SERVER_STORE_SQLITE_STORE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/unique_fd.h"
#include "server/store/event_store.h"
#include "server/store/job_thread.h"
#include "server/store/partitions.h"
#include "server/store/sqlite.h"
#include "server/store/sqlite_reader.h"
#include "server/store/sqlite_writer.h"

namespace postern::server {

struct SqliteStoreOptions {
  // The catalog; made where it is missing, its folder is not. Partitions lie in
  // PATH.d; PATH.lock beside it keeps other collectors away.
  std::string path;
  // Events that ended longer ago are dropped, a partition at a time; infinite: kept
  // for ever.
  absl::Duration retention = absl::InfiniteDuration();
  // At most; of a short retention a sixteenth.
  PartitionLimits partitions;
  // Nanoseconds since the epoch.
  std::function<int64_t()> now;
  // What may wait for the store's thread; more is refused with
  // kResourceExhausted. One batch alone is always taken.
  size_t max_queued_bytes = size_t{64} << 20;
};

class SqliteStore : public EventStore {
 public:
  // Fails with kFailedPrecondition, kDataLoss and others; each message is one
  // line that names the file. A file that is not a store is left as it is. On a full
  // disk it opens to read only, with one line in the log.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(SqliteStoreOptions options);
  // Commits what is queued, answers it, and closes the file.
  ~SqliteStore() override;

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
  struct Job {
    // A failure is the database's and undoes the whole transaction.
    std::function<absl::Status(SqliteWriter&)> work;
    // Told after the commit, or how it failed.
    std::function<void(const absl::Status&)> done;
    size_t bytes = 0;
    bool refused = false;

    void Refuse() {
      refused = true;
      work = nullptr;
    }
  };
  // What a store has that is open to write. Statements go before their database; the
  // last connection to close folds the log into the file.
  struct Files {
    std::unique_ptr<Database> catalog;
    std::unique_ptr<Partitions> partitions;
    std::unique_ptr<SqliteWriter> writer;
  };

  // kFailing: the last commit failed. As where it is read only, nobody can tell then what
  // agents could not deliver: none counts as connected.
  enum class State { kReadOnly, kOpening, kWritable, kFailing };

  SqliteStore(SqliteStoreOptions options, UniqueFd lock);

  void Enqueue(Job job) { jobs_->Add(std::move(job)); }
  // Unless it is. kResourceExhausted: no room on the disk.
  absl::Status OpenToWrite();
  absl::StatusOr<Files> OpenFiles() const;
  void CommitJobs(std::deque<Job> jobs);
  absl::Status RunInTransaction(std::deque<Job>& jobs);
  State state() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return state_;
  }
  // Says when events cannot be stored, anew for another reason, and when they are again.
  void Tell(const absl::Status& status);
  // Seals and drops; answers when to call it again.
  absl::Duration Maintain();
  void SetAsideDamaged();
  // What `ask` answers. Damage that it met is told to the store's thread.
  template <typename Ask>
  auto Answer(const Ask& ask) -> decltype(ask(std::declval<SqliteReader&>()));
  // A reading connection, from those at rest where there is one.
  absl::StatusOr<std::unique_ptr<SqliteReader>> TakeReader();
  void GiveBack(std::unique_ptr<SqliteReader> reader);

  const SqliteStoreOptions options_;
  UniqueFd lock_;
  // The store's thread alone, once it runs. Null while it is read only.
  std::unique_ptr<Files> files_;
  // Why it is.
  absl::Status not_writable_;
  absl::StatusCode told_ = absl::StatusCode::kOk;
  bool maintenance_failed_ = false;

  mutable Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kReadOnly;
  // What is read as it lies there holds unless one more of these begins meanwhile.
  uint64_t openings_ ABSL_GUARDED_BY(mutex_) = 0;
  // Partitions in which questions met damage.
  std::vector<int64_t> damaged_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<SqliteReader>> resting_ ABSL_GUARDED_BY(mutex_);

  std::unique_ptr<JobThread<Job>> jobs_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_SQLITE_STORE_H_
