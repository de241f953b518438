// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status.h"
#include "server/store/retention.h"
#include "server/store/schema.h"

namespace postern::server {
namespace {

constexpr absl::Duration kRetentionEvery = absl::Minutes(1);
constexpr size_t kFindPage = 500;
constexpr size_t kMaxResting = 4;

// synchronous = FULL: what was acknowledged survives a power cut; in WAL mode
// NORMAL would not sync at a commit.
constexpr const char* kSettings =
    "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; "
    "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = 0";

absl::StatusOr<UniqueFd> LockBeside(const std::string& path) {
  const std::string name = absl::StrCat(path, ".lock");
  UniqueFd fd(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, name);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, name);
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": another postern-collector uses this store; stop it first"));
  }
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(SqliteStoreOptions options) {
  ASSIGN_OR_RETURN(UniqueFd lock, LockBeside(options.path));
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                   Database::Open(options.path, Database::Access::kReadWrite));
  RETURN_IF_ERROR(PrepareSchema(*database));
  // Whoever was connected when the last collector died is not now.
  RETURN_IF_ERROR(database->Execute(absl::StrCat(kSettings, "; UPDATE hosts SET connected = 0")));
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteWriter> writer, SqliteWriter::Create(*database));
  std::unique_ptr<SqliteStore> store(
      new SqliteStore(std::move(options), std::move(lock), std::move(database), std::move(writer)));
  store->thread_ = std::thread([raw = store.get()] { raw->RunThread(); });
  return store;
}

SqliteStore::SqliteStore(SqliteStoreOptions options, UniqueFd lock,
                         std::unique_ptr<Database> database, std::unique_ptr<SqliteWriter> writer)
    : options_(std::move(options)),
      lock_(std::move(lock)),
      database_(std::move(database)),
      writer_(std::move(writer)) {}

SqliteStore::~SqliteStore() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    resting_.clear();
  }
  mutex_.NotifyAll();
  if (thread_.joinable()) thread_.join();
  // Statements before their database; the last connection to close folds the
  // log into the file.
  writer_.reset();
  database_.reset();
}

void SqliteStore::Welcome(v1::Hello hello, MarksDone done) {
  auto marks = std::make_shared<std::vector<v1::EpochMark>>();
  Job job;
  job.bytes = hello.ByteSizeLong();
  job.work = [this, marks, hello = std::move(hello)](SqliteWriter& writer) -> absl::Status {
    ASSIGN_OR_RETURN(*marks, writer.Welcome(hello, options_.now()));
    return absl::OkStatus();
  };
  job.done = [marks, done = std::move(done)](const absl::Status& committed) {
    if (committed.ok()) {
      done(std::move(*marks));
    } else {
      done(committed);
    }
  };
  Enqueue(std::move(job));
}

void SqliteStore::Append(EventBatch batch, MarkDone done) {
  Job job;
  for (const v1::Event& event : batch.events) job.bytes += event.ByteSizeLong();
  auto answer = std::make_shared<absl::StatusOr<uint64_t>>(uint64_t{0});
  auto shared = std::make_shared<EventBatch>(std::move(batch));
  job.work = [this, answer, shared](SqliteWriter& writer) -> absl::Status {
    ASSIGN_OR_RETURN(*answer, writer.Append(*shared, options_.now()));
    return absl::OkStatus();
  };
  job.done = [answer, done = std::move(done)](const absl::Status& committed) {
    if (committed.ok()) {
      done(*answer);
    } else {
      done(committed);
    }
  };
  Enqueue(std::move(job));
}

void SqliteStore::Heard(std::string host, v1::AgentState state) {
  Job job;
  job.work = [this, host = std::move(host), state = std::move(state)](SqliteWriter& writer) {
    return writer.Heard(host, state, options_.now());
  };
  Enqueue(std::move(job));
}

void SqliteStore::Left(std::string host) {
  Job job;
  job.work = [host = std::move(host)](SqliteWriter& writer) { return writer.Left(host); };
  Enqueue(std::move(job));
}

void SqliteStore::Record(v1::Event event) {
  Job job;
  job.work = [event = std::move(event)](SqliteWriter& writer) { return writer.Record(event); };
  Enqueue(std::move(job));
}

void SqliteStore::Enqueue(Job job) {
  {
    MutexLock lock(&mutex_);
    const bool fits = job.bytes == 0 || queued_bytes_ == 0 ||
                      queued_bytes_ + job.bytes <= options_.max_queued_bytes;
    if (!fits) {
      // Without work: refused, on the store's thread as all answers are.
      job.work = nullptr;
      job.bytes = 0;
    }
    queued_bytes_ += job.bytes;
    queue_.push_back(std::move(job));
  }
  mutex_.NotifyAll();
}

void SqliteStore::RunThread() {
  absl::Time next_drop = absl::Now();
  bool stopped = false;
  while (!stopped) {
    std::deque<Job> jobs;
    {
      MutexLock lock(&mutex_);
      const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return stopping_ || !queue_.empty();
      };
      mutex_.AwaitUntil(absl::ToChronoTime(next_drop), wanted);
      jobs.swap(queue_);
      queued_bytes_ = 0;
      stopped = stopping_ && jobs.empty();
    }
    if (!jobs.empty()) CommitJobs(std::move(jobs));
    if (!stopped && absl::Now() >= next_drop) {
      next_drop = DropExpired() ? absl::Now() : absl::Now() + kRetentionEvery;
    }
  }
}

void SqliteStore::CommitJobs(std::deque<Job> jobs) {
  const absl::Status committed = RunInTransaction(jobs);
  if (!committed.ok()) writer_->Forget();
  if (committed.ok() == failing_) {
    failing_ = !committed.ok();
    if (failing_) {
      LogError("events cannot be stored, agents keep them: %s", committed.message());
    } else {
      LogInfo("events are stored again");
    }
  }
  for (const Job& job : jobs) {
    if (!job.done) continue;
    job.done(job.work ? committed
                      : absl::ResourceExhaustedError(
                            "the collector has too much to store; send again later"));
  }
}

absl::Status SqliteStore::RunInTransaction(std::deque<Job>& jobs) {
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(*database_, Transaction::Kind::kWrite));
  for (Job& job : jobs) {
    if (job.work) RETURN_IF_ERROR(job.work(*writer_));
  }
  return transaction.Commit();
}

bool SqliteStore::DropExpired() {
  if (options_.retention == absl::InfiniteDuration()) return false;
  const absl::StatusOr<bool> more =
      RetentionStep(*database_, options_.now() - absl::ToInt64Nanoseconds(options_.retention));
  writer_->Forget();
  if (more.ok() == dropping_failed_) {
    dropping_failed_ = !more.ok();
    if (dropping_failed_) LogError("old events cannot be dropped: %s", more.status().message());
  }
  return more.ok() && *more;
}

absl::StatusOr<std::unique_ptr<SqliteReader>> SqliteStore::TakeReader() {
  {
    MutexLock lock(&mutex_);
    if (!resting_.empty()) {
      std::unique_ptr<SqliteReader> reader = std::move(resting_.back());
      resting_.pop_back();
      return reader;
    }
  }
  return SqliteReader::Open(options_.path);
}

void SqliteStore::GiveBack(std::unique_ptr<SqliteReader> reader) {
  MutexLock lock(&mutex_);
  if (resting_.size() < kMaxResting) resting_.push_back(std::move(reader));
}

absl::StatusOr<bool> SqliteStore::Find(const EventFilter& filter, uint32_t limit,
                                       const Cancelled& cancelled,
                                       absl::FunctionRef<bool(const v1::Event&)> sink) {
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteReader> reader, TakeReader());
  PageMark mark;
  uint64_t left = limit == 0 ? std::numeric_limits<uint64_t>::max() : limit;
  bool truncated = false;
  while (true) {
    // One more than wanted tells whether there are more.
    const size_t page = left < kFindPage ? static_cast<size_t>(left) + 1 : kFindPage;
    ASSIGN_OR_RETURN(const std::vector<v1::Event> events,
                     reader->FindPage(filter, page, cancelled, mark));
    bool stopped = events.size() < page;
    for (const v1::Event& event : events) {
      if (left == 0) {
        truncated = true;
        stopped = true;
        break;
      }
      --left;
      if (cancelled()) return absl::CancelledError("nobody waits for the answer");
      if (!sink(event)) return truncated;
    }
    if (stopped) break;
  }
  GiveBack(std::move(reader));
  return truncated;
}

absl::StatusOr<GroupPage> SqliteStore::Group(const EventFilter& filter,
                                             const std::vector<GroupField>& fields, uint32_t limit,
                                             const Cancelled& cancelled) {
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteReader> reader, TakeReader());
  ASSIGN_OR_RETURN(GroupPage page, reader->Group(filter, fields, limit, cancelled));
  GiveBack(std::move(reader));
  return page;
}

absl::StatusOr<v1::Completeness> SqliteStore::Complete(const EventFilter& filter) {
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteReader> reader, TakeReader());
  ASSIGN_OR_RETURN(v1::Completeness answer, reader->Complete(filter, options_.now()));
  GiveBack(std::move(reader));
  return answer;
}

absl::StatusOr<std::vector<v1::Host>> SqliteStore::Hosts() {
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteReader> reader, TakeReader());
  ASSIGN_OR_RETURN(std::vector<v1::Host> hosts, reader->Hosts(options_.now()));
  GiveBack(std::move(reader));
  return hosts;
}

}  // namespace postern::server
