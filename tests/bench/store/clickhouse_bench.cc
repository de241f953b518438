// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/store/clickhouse_bench.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/status.h"
#include "server/store/clickhouse/clickhouse_store.h"
#include "server/store/clickhouse/event_rows.h"
#include "server/store/clickhouse/row_binary.h"
#include "server/store/clickhouse/selection.h"
#include "tests/bench/samples.h"
#include "tests/bench/store/attempts.h"
#include "tests/bench/store/feeder.h"
#include "tests/bench/store/stopwatch.h"
#include "tests/support/clickhouse_server.h"
#include "tests/support/process.h"

namespace postern::bench {
namespace {

using server::EventFilter;
using server::GroupField;

constexpr int kWindows = 40;
constexpr int64_t kMinuteNs = int64_t{60} * 1'000'000'000;
constexpr absl::Duration kPatience = absl::Minutes(10);

bool Nobody() { return false; }

// ClickHouse's own client, on the same server.
class Client {
 public:
  explicit Client(const support::ClickHouseServer& server)
      : command_({"clickhouse-client", "--host=127.0.0.1", "--port=" + server.tcp_port(),
                  "--user=postern", "--password=pass word's", "--database=postern"}) {}

  absl::Status Run(const std::string& statement) const {
    return Finish(*support::Process::Start(With({"--query=" + statement}))).status();
  }
  absl::StatusOr<std::string> Ask(const std::string& statement) const {
    auto process = support::Process::Start(With({"--query=" + statement}));
    RETURN_IF_ERROR(Finish(*process).status());
    return process->Output();
  }
  // By its own clock: without its start.
  absl::StatusOr<double> SecondsOf(const std::string& statement) const {
    auto process =
        support::Process::Start(With({"--time", "--format=Null", "--query=" + statement}));
    RETURN_IF_ERROR(Finish(*process).status());
    double seconds = 0;
    if (!absl::SimpleAtod(process->Error(), &seconds)) {
      return absl::InternalError("clickhouse-client does not say how long it took");
    }
    return seconds;
  }
  // Its start is part of it.
  absl::StatusOr<double> SecondsToInsert(const std::string& rows) const {
    std::string into(server::clickhouse::kEventColumns);
    into.replace(0, into.find(' '), "bare");
    const Stopwatch watch;
    auto process = support::Process::Start(
        With({"--query=INSERT INTO " + into + " FORMAT RowBinary"}), {.input = true});
    if (!process->SendInput(rows)) return absl::UnavailableError("clickhouse-client has gone");
    process->CloseInput();
    RETURN_IF_ERROR(Finish(*process).status());
    return watch.Read().seconds;
  }

 private:
  std::vector<std::string> With(std::vector<std::string> more) const {
    more.insert(more.begin(), command_.begin(), command_.end());
    return more;
  }
  static absl::StatusOr<int> Finish(support::Process& process) {
    const std::optional<int> code = process.Wait(kPatience);
    if (code == 0) return 0;
    return absl::InternalError(absl::StrCat("clickhouse-client: ", process.Error()));
  }

  const std::vector<std::string> command_;
};

class ClickHouseBench {
 public:
  ClickHouseBench(int64_t rows, support::ClickHouseServer& server)
      : rows_(rows), server_(server), client_(server), attempts_(rows), same_(rows) {}

  absl::Status Run() {
    server::ClickHouseStoreOptions options;
    ASSIGN_OR_RETURN(options.address,
                     server::clickhouse::ParseServerAddress(server_.Url("postern")));
    options.name = "bench";
    options.now = [this] { return clock_.load(); };
    ASSIGN_OR_RETURN(store_, server::ClickHouseStore::Open(std::move(options)));
    RETURN_IF_ERROR(client_.Run("CREATE TABLE bare AS events"));
    RETURN_IF_ERROR(Ingest());
    RETURN_IF_ERROR(Windows());
    return Groups();
  }

 private:
  // The next rows of the client's, as the store would write them.
  std::string NextRows(int64_t events) {
    std::string rows;
    for (int64_t made = 0; made < events; made += kBatchEvents) {
      const server::clickhouse::EncodedBatch batch(same_.Next());
      for (size_t i = 0; i < batch.size(); ++i) {
        server::clickhouse::PutNumber(static_cast<uint16_t>(same_.reported_until() / kDayNs), rows);
        rows.append(batch.Row(i).data(), batch.Row(i).size());
      }
    }
    return rows;
  }

  absl::StatusOr<std::string> BytesARow(const std::string& table) const {
    return client_.Ask(absl::StrCat(
        "SELECT toInt64(sum(bytes_on_disk) / sum(rows)) FROM system.parts WHERE database = "
        "'postern' AND table = '",
        table, "' AND active"));
  }

  absl::Status Ingest() {
    Feeder feeder(*store_, attempts_);
    Report report({"rows in the store", "rows/s", "clickhouse-client", "ratio"});
    const int64_t part = std::max<int64_t>(rows_ / 10, kMadeAhead);
    double all = 0;
    double all_bare = 0;
    for (int64_t done = 0; done < rows_; done += part) {
      double bare = 0;
      // As many rows of an insert as an insert of the store's may have.
      for (int64_t inserted = 0; inserted < part; inserted += kMadeAhead) {
        const std::string rows = NextRows(std::min(kMadeAhead, part - inserted));
        ASSIGN_OR_RETURN(const double seconds, client_.SecondsToInsert(rows));
        bare += seconds;
      }
      ASSIGN_OR_RETURN(const Cost cost, feeder.Feed(part, clock_));
      all += cost.seconds;
      all_bare += bare;
      report.Add(RowOf(absl::StrCat(done + part), part, cost.seconds, bare));
    }
    report.Add(RowOf("all", rows_, all, all_bare));
    RETURN_IF_ERROR(client_.Run("OPTIMIZE TABLE events"));
    ASSIGN_OR_RETURN(const std::string bytes, BytesARow("events"));
    absl::PrintF(
        "\nClickHouse: append, acknowledged after its inserts, %d batches of %d under way, beside "
        "its own\nclient that inserts the same rows, made before, %d at a time; both by "
        "turns\n%son disk %s bytes a row\n",
        kUnderWay, kBatchEvents, kMadeAhead, report.Text(),
        std::string(absl::StripSuffix(bytes, "\n")));
    return absl::OkStatus();
  }

  static std::vector<std::string> RowOf(const std::string& name, int64_t rows, double seconds,
                                        double bare) {
    const auto rate = [&](double taken) {
      return absl::StrFormat("%.0f", static_cast<double>(rows) / taken);
    };
    return {name, rate(seconds), rate(bare), absl::StrFormat("%.2f x", bare / seconds)};
  }

  absl::Status Windows() {
    Samples store;
    Samples client;
    int64_t events = 0;
    for (int i = 0; i < kWindows; ++i) {
      EventFilter filter;
      filter.hosts = {HostName(i * 7919 % kHosts)};
      filter.window.since = kFirstTime + (attempts_.period_ns() - 30 * kMinuteNs) / kWindows * i;
      filter.window.until = filter.window.since + 30 * kMinuteNs;
      const Stopwatch watch;
      RETURN_IF_ERROR(store_->Complete(filter).status());
      RETURN_IF_ERROR(store_
                          ->Find(filter, 0, Nobody,
                                 [&](const v1::Event&) {
                                   ++events;
                                   return true;
                                 })
                          .status());
      store.Add(watch.Read().seconds * 1e9);
      ASSIGN_OR_RETURN(const double seconds,
                       client_.SecondsOf(absl::StrCat("SELECT * FROM bare WHERE ",
                                                      server::clickhouse::Matching(filter),
                                                      " ORDER BY time DESC")));
      client.Add(seconds * 1e9);
    }
    Report report({"30 minutes of one host", "events", "median", "p95", "client", "ratio"});
    report.Add({"found, and whether complete", absl::StrCat(events / kWindows),
                Nanoseconds(store.Median()), Nanoseconds(store.Quantile(0.95)),
                Nanoseconds(client.Median()),
                absl::StrFormat("%.2f x", client.Median() / store.Median())});
    absl::PrintF("\n%s  goal: 100 ms\n", report.Text());
    return absl::OkStatus();
  }

  absl::Status Groups() {
    struct Question {
      const char* name;
      std::vector<GroupField> fields;
      const char* columns;
    };
    const Question questions[] = {{"host", {GroupField::kHost}, "host"},
                                  {"user, exe", {GroupField::kUser, GroupField::kExe}, "user, exe"},
                                  {"host, verdict, script",
                                   {GroupField::kHost, GroupField::kVerdict, GroupField::kScript},
                                   "host, verdict, script"},
                                  {"destination", {GroupField::kDestination}, "destination"}};
    Report report({"a day grouped by", "attempts", "groups", "store", "client", "ratio"});
    for (const Question& question : questions) {
      EventFilter filter;
      filter.window.since = kFirstTime + attempts_.period_ns() / kDayNs / 2 * kDayNs;
      filter.window.until = filter.window.since + kDayNs;
      uint64_t attempts = 0;
      size_t groups = 0;
      Samples store;
      Samples client;
      for (int visit = 0; visit < 3; ++visit) {
        const Stopwatch watch;
        ASSIGN_OR_RETURN(const server::GroupPage page,
                         store_->Group(filter, question.fields, 0, Nobody));
        store.Add(watch.Read().seconds * 1e9);
        attempts = 0;
        for (const v1::Group& group : page.groups) attempts += group.count();
        groups = page.groups.size();
        ASSIGN_OR_RETURN(const double seconds,
                         client_.SecondsOf(absl::StrCat(
                             "SELECT ", question.columns,
                             ", sum(attempts) AS n, min(time), max(time + length) "
                             "FROM bare WHERE ",
                             server::clickhouse::Matching(filter), " AND kind = 1 GROUP BY ",
                             question.columns, " ORDER BY n DESC LIMIT 100000")));
        client.Add(seconds * 1e9);
      }
      report.Add({question.name, absl::StrCat(attempts), absl::StrCat(groups),
                  Nanoseconds(store.Median()), Nanoseconds(client.Median()),
                  absl::StrFormat("%.2f x", client.Median() / store.Median())});
    }
    absl::PrintF(
        "\n%s  goal: 2 s for a day of 10 million rows; the client's counts what was stored twice "
        "twice\n",
        report.Text());
    return absl::OkStatus();
  }

  const int64_t rows_;
  support::ClickHouseServer& server_;
  const Client client_;
  Attempts attempts_;
  // Once more, for the client.
  Attempts same_;
  std::atomic<int64_t> clock_{kFirstTime};
  std::unique_ptr<server::ClickHouseStore> store_;
};

}  // namespace

absl::Status MeasureClickHouse(int64_t rows, const std::string& folder) {
  ASSIGN_OR_RETURN(std::unique_ptr<support::ClickHouseServer> server,
                   support::ClickHouseServer::Start(folder + "/clickhouse"));
  return ClickHouseBench(rows, *server).Run();
}

}  // namespace postern::bench
