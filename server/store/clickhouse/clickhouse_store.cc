// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/clickhouse_store.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status.h"

namespace postern::server {
namespace {

using clickhouse::Connection;
using clickhouse::EncodedBatch;
using clickhouse::Reader;

constexpr absl::Duration kMaintainEvery = absl::Minutes(1);
// Until a server that was not there is asked again, where nobody else asks for it.
constexpr absl::Duration kAskAgain = absl::Seconds(5);
constexpr size_t kFirstPage = 500;
// Each page looks through the window anew: whoever wants much gets large ones.
constexpr size_t kLargestPage = 32'000;
constexpr size_t kMaxResting = 4;

// Whether the server may be there another time.
bool IsPassing(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

absl::StatusOr<std::unique_ptr<ClickHouseStore>> ClickHouseStore::Open(
    ClickHouseStoreOptions options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, Connection::Create(options.address));
  std::unique_ptr<ClickHouseStore> store(
      new ClickHouseStore(std::move(options), std::move(connection)));
  const absl::Status prepared = store->Prepare();
  if (!prepared.ok() && !IsPassing(prepared)) return prepared;
  store->Tell(prepared);
  store->jobs_ = std::make_unique<JobThread<Job>>(
      store->options_.max_queued_bytes,
      [raw = store.get()](std::deque<Job> jobs) { raw->StoreJobs(std::move(jobs)); },
      [raw = store.get()] { return raw->Maintain(); });
  return store;
}

ClickHouseStore::ClickHouseStore(ClickHouseStoreOptions options,
                                 std::unique_ptr<Connection> connection)
    : options_(std::move(options)),
      connection_(std::move(connection)),
      lease_(options_.address, options_.name),
      writer_(*connection_, lease_, features_) {}

// What is queued is stored first.
ClickHouseStore::~ClickHouseStore() { jobs_.reset(); }

void ClickHouseStore::Welcome(v1::Hello hello, MarksDone done) {
  Job job;
  job.bytes = hello.ByteSizeLong();
  job.what = Greeting{std::move(hello), std::move(done), std::vector<v1::EpochMark>()};
  Enqueue(std::move(job));
}

void ClickHouseStore::Append(EventBatch batch, MarkDone done) {
  auto encoded = std::make_unique<EncodedBatch>(std::move(batch));
  Job job;
  job.bytes = encoded->bytes();
  job.what = Delivery{std::move(encoded), std::move(done), uint64_t{0}};
  Enqueue(std::move(job));
}

void ClickHouseStore::Heard(std::string host, v1::AgentState state) {
  Job job;
  job.what = Word{std::move(host), std::move(state)};
  Enqueue(std::move(job));
}

void ClickHouseStore::Left(std::string host) {
  Job job;
  job.what = Farewell{std::move(host)};
  Enqueue(std::move(job));
}

void ClickHouseStore::Record(v1::Event event) {
  Job job;
  job.what = Note{std::move(event)};
  Enqueue(std::move(job));
}

absl::Status ClickHouseStore::Prepare() {
  if (prepared_) return absl::OkStatus();
  ASSIGN_OR_RETURN(features_, clickhouse::FeaturesOf(*connection_));
  RETURN_IF_ERROR(clickhouse::PrepareSchema(*connection_, features_, options_.address.database,
                                            clickhouse::DaysKept(options_.retention)));
  RETURN_IF_ERROR(lease_.Renew(*connection_));
  LogInfo("%s: ClickHouse %s, %s", options_.address.ToString(), features_.version,
          features_.ttl ? "which lets old events expire"
                        : "without TTL: old events are dropped by the collectors alone");
  prepared_ = true;
  return absl::OkStatus();
}

void ClickHouseStore::StoreJobs(std::deque<Job> jobs) {
  while (!jobs.empty()) StoreRound(NextRound(jobs));
}

std::deque<ClickHouseStore::Job> ClickHouseStore::NextRound(std::deque<Job>& jobs) {
  std::deque<Job> round;
  std::set<std::string> left;
  while (!jobs.empty()) {
    const Job& next = jobs.front();
    const std::string host =
        std::visit(Overloaded{[](const Greeting& greeting) { return greeting.hello.host(); },
                              [](const Delivery& delivery) {
                                return delivery.batch ? delivery.batch->host() : std::string();
                              },
                              [](const Word& word) { return word.host; },
                              [](const Farewell& farewell) { return farewell.host; },
                              [](const Note& note) { return note.event.host(); }},
                   next.what);
    if (left.contains(host)) break;
    if (std::holds_alternative<Farewell>(next.what)) left.insert(host);
    round.push_back(std::move(jobs.front()));
    jobs.pop_front();
  }
  return round;
}

void ClickHouseStore::StoreRound(std::deque<Job> jobs) {
  const absl::Status stored = RunRound(jobs);
  Tell(stored);
  for (Job& job : jobs) {
    const auto answer = [&](auto& asked) {
      if (!asked.done) return;
      if (job.refused) {
        asked.done(TooMuchQueued());
      } else if (!stored.ok()) {
        asked.done(stored);
      } else {
        asked.done(std::move(asked.answer));
      }
    };
    std::visit(Overloaded{[&](Greeting& greeting) { answer(greeting); },
                          [&](Delivery& delivery) { answer(delivery); },
                          [&](const Farewell& farewell) {
                            if (!stored.ok()) writer_.LeftUnheard(farewell.host);
                          },
                          [](const auto&) {}},
               job.what);
  }
}

absl::Status ClickHouseStore::RunRound(std::deque<Job>& jobs) {
  RETURN_IF_ERROR(Prepare());
  clickhouse::Writer::Touched touched;
  for (Job& job : jobs) {
    if (job.refused) continue;
    std::visit(Overloaded{[&](const Greeting& greeting) {
                            const v1::Hello& hello = greeting.hello;
                            touched.afresh.insert(hello.host());
                            touched.epochs[hello.epoch()] = hello.host();
                            touched.fresh.insert(hello.epoch());
                            for (const uint64_t epoch : hello.pending_epochs()) {
                              touched.epochs[epoch] = hello.host();
                            }
                            const v1::EpochMark& last = hello.last_acknowledged();
                            if (last.position() != 0 && !touched.epochs.contains(last.epoch())) {
                              touched.marks[last.epoch()] = hello.host();
                            }
                          },
                          [&](const Delivery& delivery) {
                            touched.hosts.insert(delivery.batch->host());
                            touched.epochs.emplace(delivery.batch->epoch(), delivery.batch->host());
                            touched.fresh.insert(delivery.batch->epoch());
                          },
                          [&](const Word& word) { touched.hosts.insert(word.host); },
                          [&](const Farewell& farewell) { touched.afresh.insert(farewell.host); },
                          [&](const Note& note) { touched.hosts.insert(note.event.host()); }},
               job.what);
  }
  RETURN_IF_ERROR(writer_.Begin(touched, options_.now()));
  for (Job& job : jobs) {
    if (job.refused) continue;
    std::visit(
        Overloaded{[&](Greeting& greeting) { greeting.answer = writer_.Welcome(greeting.hello); },
                   [&](Delivery& delivery) { delivery.answer = writer_.Append(*delivery.batch); },
                   [&](const Word& word) { writer_.Heard(word.host, word.state); },
                   [&](const Farewell& farewell) { writer_.Left(farewell.host); },
                   [&](const Note& note) { writer_.Record(note.event); }},
        job.what);
  }
  return writer_.Commit();
}

absl::Duration ClickHouseStore::Maintain() {
  absl::Status done = Prepare();
  Tell(done);
  if (!done.ok()) return kAskAgain;
  done = writer_.Maintain(options_.retention, options_.now());
  if (done.ok() == maintenance_failed_) {
    maintenance_failed_ = !done.ok();
    if (maintenance_failed_) LogError("old events cannot be dropped: %s", done.message());
  }
  return kMaintainEvery;
}

void ClickHouseStore::Tell(const absl::Status& status) {
  if (status.ok() != failing_) return;
  failing_ = !status.ok();
  if (failing_) {
    LogError("events cannot be stored, agents keep them: %s", status.message());
  } else {
    LogInfo("events are stored again");
  }
}

absl::StatusOr<std::unique_ptr<Reader>> ClickHouseStore::TakeReader() {
  {
    MutexLock lock(&mutex_);
    if (!resting_.empty()) {
      std::unique_ptr<Reader> reader = std::move(resting_.back());
      resting_.pop_back();
      return reader;
    }
  }
  return Reader::Create(options_.address);
}

void ClickHouseStore::GiveBack(std::unique_ptr<Reader> reader) {
  MutexLock lock(&mutex_);
  if (resting_.size() < kMaxResting) resting_.push_back(std::move(reader));
}

template <typename Ask>
auto ClickHouseStore::Answer(const Ask& ask) -> decltype(ask(std::declval<Reader&>())) {
  ASSIGN_OR_RETURN(std::unique_ptr<Reader> reader, TakeReader());
  auto answer = ask(*reader);
  GiveBack(std::move(reader));
  return answer;
}

absl::StatusOr<bool> ClickHouseStore::Find(const EventFilter& filter, uint32_t limit,
                                           const Cancelled& cancelled,
                                           absl::FunctionRef<bool(const v1::Event&)> sink) {
  return Answer([&](Reader& reader) -> absl::StatusOr<bool> {
    Reader::PageMark mark;
    uint64_t left = limit == 0 ? std::numeric_limits<uint64_t>::max() : limit;
    for (size_t size = kFirstPage;; size = std::min(size * 4, kLargestPage)) {
      // One more than wanted tells whether there are more.
      const size_t wanted = left < size ? static_cast<size_t>(left) + 1 : size;
      ASSIGN_OR_RETURN(const Reader::Page page, reader.FindPage(filter, wanted, cancelled, mark));
      for (const v1::Event& event : page.events) {
        if (left == 0) return true;
        --left;
        if (cancelled()) return absl::CancelledError("nobody waits for the answer");
        if (!sink(event)) return false;
      }
      if (page.last) return false;
    }
  });
}

absl::StatusOr<GroupPage> ClickHouseStore::Group(const EventFilter& filter,
                                                 const std::vector<GroupField>& fields,
                                                 uint32_t limit, const Cancelled& cancelled) {
  return Answer([&](Reader& reader) { return reader.Group(filter, fields, limit, cancelled); });
}

absl::StatusOr<v1::Completeness> ClickHouseStore::Complete(const EventFilter& filter) {
  return Answer([&](Reader& reader) { return reader.Complete(filter, options_.now()); });
}

absl::StatusOr<std::vector<v1::Host>> ClickHouseStore::Hosts() {
  return Answer([&](Reader& reader) { return reader.Hosts(options_.now()); });
}

}  // namespace postern::server
