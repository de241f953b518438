// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status.h"
#include "server/store/schema.h"
#include "server/store/single_file.h"
#include "server/store/store_files.h"

namespace postern::server {
namespace {

constexpr absl::Duration kMaintainEvery = absl::Minutes(1);
// Of a store that is read only.
constexpr absl::Duration kLookForRoomEvery = absl::Seconds(2);
// With less than that, opening it to write is not tried again.
constexpr uint64_t kRoomToOpen = uint64_t{4} << 20;
// A question's, while the store is opened to write.
constexpr absl::Duration kOpeningPatience = absl::Seconds(10);
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

// Of the disk that it lies on.
bool HasRoom(const std::string& path) {
  struct statvfs disk = {};
  if (statvfs(path.c_str(), &disk) != 0) return true;
  // File systems keep some blocks for root.
  const uint64_t blocks = geteuid() == 0 ? disk.f_bfree : disk.f_bavail;
  return blocks * disk.f_frsize >= kRoomToOpen;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(SqliteStoreOptions options) {
  ASSIGN_OR_RETURN(UniqueFd lock, LockBeside(options.path));
  RETURN_IF_ERROR(CheckStoreFiles(options.path));
  options.partitions.length =
      std::min(options.partitions.length, options.retention / kPartitionsInRetention);
  std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(options), std::move(lock)));
  if (const absl::Status opened = store->OpenToWrite(); !opened.ok()) {
    // What cannot be read either is not there yet, or needs more than room.
    if (!absl::IsResourceExhausted(opened) || !store->Hosts().ok()) return opened;
    store->Tell(opened);
  }
  store->jobs_ = std::make_unique<JobThread<Job>>(
      store->options_.max_queued_bytes,
      [raw = store.get()](std::deque<Job> jobs) { raw->CommitJobs(std::move(jobs)); },
      [raw = store.get()] { return raw->Maintain(); });
  return store;
}

SqliteStore::SqliteStore(SqliteStoreOptions options, UniqueFd lock)
    : options_(std::move(options)), lock_(std::move(lock)) {}

SqliteStore::~SqliteStore() {
  {
    MutexLock lock(&mutex_);
    resting_.clear();
  }
  jobs_.reset();
}

absl::Status SqliteStore::OpenToWrite() {
  if (files_) return absl::OkStatus();
  if (!not_writable_.ok() && !(HasRoom(options_.path) && HasRoom(PartitionFolder(options_.path)))) {
    return not_writable_;
  }
  {
    MutexLock lock(&mutex_);
    ++openings_;
    state_ = State::kOpening;
  }
  absl::StatusOr<Files> files = OpenFiles();
  not_writable_ = files.status();
  if (files.ok()) files_ = std::make_unique<Files>(*std::move(files));
  {
    MutexLock lock(&mutex_);
    state_ = files_ ? State::kWritable : State::kReadOnly;
  }
  mutex_.NotifyAll();
  return not_writable_;
}

absl::StatusOr<SqliteStore::Files> SqliteStore::OpenFiles() const {
  Files files;
  // SQLite would make it as the umask has it.
  struct stat there = {};
  if (stat(options_.path.c_str(), &there) != 0) RETURN_IF_ERROR(MakePrivateFile(options_.path));
  ASSIGN_OR_RETURN(files.catalog, Database::Open(options_.path, Database::Access::kReadWrite));
  const int64_t now = options_.now();
  RETURN_IF_ERROR(PrepareCatalog(*files.catalog, [&] {
    return MoveEventsToPartitions(*files.catalog, options_.path, options_.partitions, now);
  }));
  RETURN_IF_ERROR(files.catalog->Execute(kSettings));
  ASSIGN_OR_RETURN(files.partitions,
                   Partitions::Open(*files.catalog, options_.path, options_.partitions, now));
  ASSIGN_OR_RETURN(files.writer, SqliteWriter::Create(*files.catalog, *files.partitions));
  // Whoever was connected when the last collector died is not now.
  RETURN_IF_ERROR(files.writer->ForgetConnections());
  return files;
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

void SqliteStore::CommitJobs(std::deque<Job> jobs) {
  SetAsideDamaged();
  absl::Status committed;
  if (absl::c_any_of(jobs, [](const Job& job) { return job.work != nullptr; })) {
    committed = RunInTransaction(jobs);
    if (!committed.ok() && files_) files_->writer->Rollback();
    if (files_) {
      MutexLock lock(&mutex_);
      state_ = committed.ok() ? State::kWritable : State::kFailing;
    }
    Tell(committed);
  }
  if (absl::IsDataLoss(committed) && files_) {
    files_->partitions->ExamineCurrent(options_.now()).IgnoreError();
  }
  for (const Job& job : jobs) {
    if (job.done) job.done(job.refused ? TooMuchQueued() : committed);
  }
}

absl::Status SqliteStore::RunInTransaction(std::deque<Job>& jobs) {
  if (!files_) return not_writable_;
  RETURN_IF_ERROR(files_->writer->Begin(options_.now()));
  if (state() == State::kFailing) RETURN_IF_ERROR(files_->writer->ForgetConnections());
  for (Job& job : jobs) {
    if (job.work) RETURN_IF_ERROR(job.work(*files_->writer));
  }
  return files_->writer->Commit();
}

void SqliteStore::Tell(const absl::Status& status) {
  if (status.code() == told_) return;
  told_ = status.code();
  if (!status.ok()) {
    LogError("events cannot be stored, agents keep them: %s", status.message());
  } else {
    LogInfo("events are stored again");
  }
}

absl::Duration SqliteStore::Maintain() {
  if (const absl::Status opened = OpenToWrite(); !opened.ok()) {
    Tell(opened);
    return kLookForRoomEvery;
  }
  SetAsideDamaged();
  const int64_t now = options_.now();
  absl::Status status = files_->partitions->Maintain(now);
  if (status.ok() && options_.retention != absl::InfiniteDuration()) {
    status = files_->partitions->DropExpired(now - absl::ToInt64Nanoseconds(options_.retention));
  }
  if (status.ok() == maintenance_failed_) {
    maintenance_failed_ = !status.ok();
    if (maintenance_failed_) {
      LogError("old events cannot be sealed or dropped: %s", status.message());
    }
  }
  return kMaintainEvery;
}

void SqliteStore::SetAsideDamaged() {
  std::vector<int64_t> damaged;
  {
    MutexLock lock(&mutex_);
    damaged.swap(damaged_);
  }
  if (!files_) return;
  for (const int64_t partition : damaged) {
    const absl::Status status =
        files_->partitions->SetAside(partition, "met by a question", options_.now());
    if (!status.ok()) LogError("a damaged file cannot be set aside: %s", status.message());
  }
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
  uint64_t openings = 0;
  bool writable = false;
  {
    MutexLock lock(&mutex_);
    mutex_.AwaitFor(
        absl::ToChronoNanoseconds(kOpeningPatience),
        [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return state_ != State::kOpening; });
    if (state_ == State::kOpening) {
      return absl::UnavailableError("the store is being opened; ask again");
    }
    openings = openings_;
    writable = state_ == State::kWritable;
  }
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteReader> reader, TakeReader());
  if (!writable) reader->ForgetConnections();
  auto answer = ask(*reader);
  if (!writable) {
    MutexLock lock(&mutex_);
    if (openings == openings_) return answer;
    return absl::UnavailableError("the store was opened to write meanwhile; ask again");
  }
  if (answer.ok()) {
    GiveBack(std::move(reader));
  } else if (reader->damaged()) {
    {
      MutexLock lock(&mutex_);
      damaged_.push_back(*reader->damaged());
    }
    // Takes nothing and asks for nothing: the thread looks what is damaged.
    Enqueue({});
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
