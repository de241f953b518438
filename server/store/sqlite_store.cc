// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status.h"
#include "common/steady_clock.h"
#include "server/store/schema.h"
#include "server/store/single_file.h"

namespace postern::server {
namespace {

constexpr absl::Duration kMaintainEvery = absl::Minutes(1);
constexpr size_t kFindPage = 500;
constexpr size_t kMaxResting = 4;

// Of the catalog. What must outlive a power cut says so: BeginDurable().
constexpr const char* kSettings =
    "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216; "
    "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = 0";

// What expires goes a partition at a time: they are to be short beside the
// retention.
constexpr int kPartitionsInRetention = 16;

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
  ASSIGN_OR_RETURN(std::unique_ptr<Database> catalog,
                   Database::Open(options.path, Database::Access::kReadWrite));
  options.partitions.length =
      std::min(options.partitions.length, options.retention / kPartitionsInRetention);
  const int64_t now = options.now();
  RETURN_IF_ERROR(PrepareCatalog(*catalog, [&] {
    return MoveEventsToPartitions(*catalog, options.path, options.partitions, now);
  }));
  RETURN_IF_ERROR(catalog->Execute(kSettings));
  ASSIGN_OR_RETURN(std::unique_ptr<Partitions> partitions,
                   Partitions::Open(*catalog, options.path, options.partitions, now));
  // Whoever was connected when the last collector died is not now.
  RETURN_IF_ERROR(catalog->Execute("UPDATE hosts SET connected = 0"));
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteWriter> writer,
                   SqliteWriter::Create(*catalog, *partitions));
  std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(options), std::move(lock),
                                                     std::move(catalog), std::move(partitions),
                                                     std::move(writer)));
  store->thread_ = std::thread([raw = store.get()] { raw->RunThread(); });
  return store;
}

SqliteStore::SqliteStore(SqliteStoreOptions options, UniqueFd lock,
                         std::unique_ptr<Database> catalog, std::unique_ptr<Partitions> partitions,
                         std::unique_ptr<SqliteWriter> writer)
    : options_(std::move(options)),
      lock_(std::move(lock)),
      catalog_(std::move(catalog)),
      partitions_(std::move(partitions)),
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
  partitions_.reset();
  catalog_.reset();
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
  auto answer = std::make_shared<absl::StatusOr<uint64_t>>(uint64_t{0});
  auto shared = std::make_shared<const PreparedBatch>(std::move(batch));
  job.bytes = shared->events.bytes();
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
  job.work = [this, event = std::move(event)](SqliteWriter& writer) {
    return writer.Record(event, options_.now());
  };
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
  absl::Time next_maintenance = SteadyNow();
  bool stopped = false;
  while (!stopped) {
    std::deque<Job> jobs;
    std::vector<int64_t> damaged;
    {
      MutexLock lock(&mutex_);
      const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return stopping_ || !queue_.empty() || !damaged_.empty();
      };
      mutex_.AwaitFor(
          absl::ToChronoNanoseconds(std::max(next_maintenance - SteadyNow(), absl::ZeroDuration())),
          wanted);
      jobs.swap(queue_);
      damaged.swap(damaged_);
      queued_bytes_ = 0;
      stopped = stopping_ && jobs.empty();
    }
    for (const int64_t partition : damaged) SetAside(partition);
    if (!jobs.empty()) CommitJobs(std::move(jobs));
    if (!stopped && SteadyNow() >= next_maintenance) {
      Maintain();
      next_maintenance = SteadyNow() + kMaintainEvery;
    }
  }
}

void SqliteStore::CommitJobs(std::deque<Job> jobs) {
  const absl::Status committed = RunInTransaction(jobs);
  if (!committed.ok()) writer_->Rollback();
  if (committed.ok() == failing_) {
    failing_ = !committed.ok();
    if (failing_) {
      LogError("events cannot be stored, agents keep them: %s", committed.message());
    } else {
      LogInfo("events are stored again");
    }
  }
  if (absl::IsDataLoss(committed)) {
    partitions_->ExamineCurrent(options_.now()).IgnoreError();
  }
  for (const Job& job : jobs) {
    if (!job.done) continue;
    job.done(job.work ? committed
                      : absl::ResourceExhaustedError(
                            "the collector has too much to store; send again later"));
  }
}

absl::Status SqliteStore::RunInTransaction(std::deque<Job>& jobs) {
  RETURN_IF_ERROR(writer_->Begin(options_.now()));
  for (Job& job : jobs) {
    if (job.work) RETURN_IF_ERROR(job.work(*writer_));
  }
  return writer_->Commit();
}

void SqliteStore::Maintain() {
  const int64_t now = options_.now();
  absl::Status status = partitions_->Maintain(now);
  if (status.ok() && options_.retention != absl::InfiniteDuration()) {
    status = partitions_->DropExpired(now - absl::ToInt64Nanoseconds(options_.retention));
  }
  if (status.ok() != maintenance_failed_) return;
  maintenance_failed_ = !status.ok();
  if (maintenance_failed_) {
    LogError("old events cannot be sealed or dropped: %s", status.message());
  }
}

void SqliteStore::SetAside(int64_t partition) {
  const absl::Status status = partitions_->SetAside(partition, "met by a question", options_.now());
  if (!status.ok()) LogError("a damaged file cannot be set aside: %s", status.message());
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

template <typename Ask>
auto SqliteStore::Answer(const Ask& ask) -> decltype(ask(std::declval<SqliteReader&>())) {
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteReader> reader, TakeReader());
  auto answer = ask(*reader);
  if (answer.ok()) {
    GiveBack(std::move(reader));
  } else if (reader->damaged()) {
    {
      MutexLock lock(&mutex_);
      damaged_.push_back(*reader->damaged());
    }
    mutex_.NotifyAll();
  }
  return answer;
}

absl::StatusOr<bool> SqliteStore::Find(const EventFilter& filter, uint32_t limit,
                                       const Cancelled& cancelled,
                                       absl::FunctionRef<bool(const v1::Event&)> sink) {
  return Answer([&](SqliteReader& reader) -> absl::StatusOr<bool> {
    PageMark mark;
    uint64_t left = limit == 0 ? std::numeric_limits<uint64_t>::max() : limit;
    while (true) {
      // One more than wanted tells whether there are more.
      const size_t page = left < kFindPage ? static_cast<size_t>(left) + 1 : kFindPage;
      ASSIGN_OR_RETURN(const std::vector<v1::Event> events,
                       reader.FindPage(filter, page, cancelled, mark));
      for (const v1::Event& event : events) {
        if (left == 0) return true;
        --left;
        if (cancelled()) return absl::CancelledError("nobody waits for the answer");
        if (!sink(event)) return false;
      }
      if (events.size() < page) return false;
    }
  });
}

absl::StatusOr<GroupPage> SqliteStore::Group(const EventFilter& filter,
                                             const std::vector<GroupField>& fields, uint32_t limit,
                                             const Cancelled& cancelled) {
  return Answer(
      [&](SqliteReader& reader) { return reader.Group(filter, fields, limit, cancelled); });
}

absl::StatusOr<v1::Completeness> SqliteStore::Complete(const EventFilter& filter) {
  return Answer([&](SqliteReader& reader) { return reader.Complete(filter, options_.now()); });
}

absl::StatusOr<std::vector<v1::Host>> SqliteStore::Hosts() {
  return Answer([&](SqliteReader& reader) { return reader.Hosts(options_.now()); });
}

}  // namespace postern::server
