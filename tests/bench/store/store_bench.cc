// SPDX-License-Identifier: Apache-2.0
// postern_store_bench: how fast the collector's store takes events and answers,
// beside a bare SQLite loop, or ClickHouse's own client, of the same rows in the same run.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/log.h"
#include "common/status.h"
#include "common/unique_fd.h"
#include "server/store/sqlite_store.h"
#include "tests/bench/samples.h"
#include "tests/bench/store/attempts.h"
#include "tests/bench/store/bare_loop.h"
#include "tests/bench/store/bare_scan.h"
#include "tests/bench/store/clickhouse_bench.h"
#include "tests/bench/store/feeder.h"
#include "tests/bench/store/stopwatch.h"

namespace postern::bench {
namespace {

using server::EventFilter;
using server::EventStore;
using server::GroupField;

constexpr int kWindows = 40;
constexpr int64_t kMinuteNs = int64_t{60} * 1'000'000'000;

struct Settings {
  int64_t rows = 1'000'000;
  int64_t bare_rows = 0;
  std::string folder;
  bool full = false;
};

double SecondsSince(absl::Time begin) { return absl::ToDoubleSeconds(absl::Now() - begin); }

bool Nobody() { return false; }

uint64_t BytesIn(const std::string& folder) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

// What the kernel keeps of these files in memory is let go.
void ForgetPages(const std::string& folder) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const UniqueFd fd(open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) continue;
    fdatasync(fd.get());
    posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  }
}

class StoreBench {
 public:
  explicit StoreBench(const Settings& settings) : settings_(settings), attempts_(settings.rows) {}

  absl::Status Run() {
    std::filesystem::create_directory(Folder());
    RETURN_IF_ERROR(Open());
    RETURN_IF_ERROR(Ingest());
    store_.reset();
    const absl::Time begin = absl::Now();
    RETURN_IF_ERROR(Open());
    absl::PrintF("\nopened again, checks included: %s; on disk %.0f bytes a row\n",
                 Nanoseconds(SecondsSince(begin) * 1e9),
                 static_cast<double>(BytesIn(Folder())) / static_cast<double>(settings_.rows));
    RETURN_IF_ERROR(Windows());
    return Groups();
  }

 private:
  std::string Folder() const { return settings_.folder + "/store"; }

  absl::Status Open() {
    server::SqliteStoreOptions options;
    options.path = Folder() + "/events.db";
    options.now = [this] { return clock_.load(); };
    ASSIGN_OR_RETURN(store_, server::SqliteStore::Open(std::move(options)));
    return absl::OkStatus();
  }

  // Both by turns, so that each sees what else the machine does. The bare loop
  // begins a new file where its rows would be more than --bare-rows.
  absl::Status Ingest() {
    Feeder feeder(*store_, attempts_);
    Report report({"rows in the store", "rows/s", "bare loop", "ratio", "CPU a row", "bare loop",
                   "ratio", "bytes a row", "bare loop"});
    const std::string folder = settings_.folder + "/bare";
    const int64_t part = std::max<int64_t>(settings_.rows / 10, kMadeAhead);
    const int64_t share = std::min(part, settings_.bare_rows);
    std::unique_ptr<BareLoop> bare;
    Cost all;
    Cost all_bare;
    int64_t bare_rows = 0;
    for (int64_t done = 0; done < settings_.rows; done += part) {
      if (!bare || bare_rows + share > settings_.bare_rows) {
        bare.reset();
        std::filesystem::remove_all(folder);
        std::filesystem::create_directory(folder);
        ASSIGN_OR_RETURN(bare, BareLoop::Create(folder + "/bare.db", settings_.rows));
        bare_rows = 0;
      }
      ASSIGN_OR_RETURN(Cost bare_cost, bare->Insert(share));
      bare_rows += share;
      ASSIGN_OR_RETURN(Cost cost, feeder.Feed(part, clock_));
      cost.DivideBy(part);
      bare_cost.DivideBy(share);
      all.Add(cost);
      all_bare.Add(bare_cost);
      report.Add(RowOf(absl::StrCat(done + part), cost, bare_cost,
                       static_cast<double>(BytesIn(Folder())) / static_cast<double>(done + part),
                       static_cast<double>(BytesIn(folder)) / static_cast<double>(bare_rows)));
      absl::FPrintF(stderr, "%d of %d rows\n", done + part, settings_.rows);
    }
    all.DivideBy(settings_.rows / part);
    all_bare.DivideBy(settings_.rows / part);
    report.Add(RowOf("all", all, all_bare, 0, 0));
    bare.reset();
    std::filesystem::remove_all(folder);
    absl::PrintF(
        "append, acknowledged after commit, %d batches of %d under way, beside a bare "
        "loop of\nSQLite that inserts the same rows into the same table; both by turns\n%s"
        "  goal: 0.50 x, the same from the first to the last\n",
        kUnderWay, kBatchEvents, report.Text());
    return absl::OkStatus();
  }

  // `cost` and `bare` of one row.
  static std::vector<std::string> RowOf(const std::string& name, const Cost& cost, const Cost& bare,
                                        double bytes, double bare_bytes) {
    const auto whole = [](double value) {
      return value > 0 ? absl::StrFormat("%.0f", value) : std::string();
    };
    return {name,
            whole(1 / cost.seconds),
            whole(1 / bare.seconds),
            absl::StrFormat("%.2f x", bare.seconds / cost.seconds),
            Nanoseconds(cost.cpu_seconds * 1e9),
            Nanoseconds(bare.cpu_seconds * 1e9),
            absl::StrFormat("%.2f x", bare.cpu_seconds / cost.cpu_seconds),
            whole(bytes),
            whole(bare_bytes)};
  }

  // A 30-minute window of each of some hosts at each of some times.
  absl::Status Windows() {
    Report report({"30 minutes of one host", "events", "median", "p95", "longest"});
    for (const bool cold : {true, false}) {
      Samples samples;
      int64_t events = 0;
      for (int i = 0; i < kWindows; ++i) {
        if (cold) ForgetPages(Folder());
        EventFilter filter;
        filter.hosts = {HostName(i * 7919 % kHosts)};
        filter.window.since = kFirstTime + (attempts_.period_ns() - 30 * kMinuteNs) / kWindows * i;
        filter.window.until = filter.window.since + 30 * kMinuteNs;
        const absl::Time begin = absl::Now();
        RETURN_IF_ERROR(store_->Complete(filter).status());
        RETURN_IF_ERROR(store_
                            ->Find(filter, 0, Nobody,
                                   [&](const v1::Event&) {
                                     ++events;
                                     return true;
                                   })
                            .status());
        samples.Add(SecondsSince(begin) * 1e9);
      }
      report.Add({cold ? "nothing in memory" : "read before", absl::StrCat(events / kWindows),
                  Nanoseconds(samples.Median()), Nanoseconds(samples.Quantile(0.95)),
                  Nanoseconds(samples.Quantile(1))});
    }
    absl::PrintF("\n%s  goal: 100 ms\n", report.Text());
    return absl::OkStatus();
  }

  absl::Status Groups() {
    struct Question {
      const char* name;
      std::vector<GroupField> fields;
    };
    const Question questions[] = {
        {"host", {GroupField::kHost}},
        {"user, exe", {GroupField::kUser, GroupField::kExe}},
        {"host, verdict, script", {GroupField::kHost, GroupField::kVerdict, GroupField::kScript}},
        {"destination", {GroupField::kDestination}}};
    Report report({"a day grouped by", "attempts", "groups", "first", "again", "CPU", "ratio"});
    EventFilter filter;
    const int64_t days = attempts_.period_ns() / kDayNs;
    filter.window.since = kFirstTime + (days / 2) * kDayNs;
    filter.window.until = filter.window.since + kDayNs;
    // Its rows stepped through by SQLite and nothing else.
    std::vector<std::string> bare_row = {"bare scan", "", ""};
    Cost bare;
    ForgetPages(Folder());
    for (int visit = 0; visit < 2; ++visit) {
      const Stopwatch watch;
      ASSIGN_OR_RETURN(const int64_t rows, ScanBare(Folder() + "/events.db", filter.window));
      bare = watch.Read();
      bare_row.push_back(Nanoseconds(bare.seconds * 1e9));
      bare_row[1] = absl::StrCat(rows, " rows");
    }
    bare_row.push_back(Nanoseconds(bare.cpu_seconds * 1e9));
    bare_row.push_back("1.00 x");
    report.Add(std::move(bare_row));
    for (const Question& question : questions) {
      std::vector<std::string> row = {question.name, "", ""};
      Cost cost;
      ForgetPages(Folder());
      for (int visit = 0; visit < 2; ++visit) {
        const Stopwatch watch;
        ASSIGN_OR_RETURN(const server::GroupPage page,
                         store_->Group(filter, question.fields, 0, Nobody));
        cost = watch.Read();
        row.push_back(Nanoseconds(cost.seconds * 1e9));
        uint64_t attempts = 0;
        for (const v1::Group& group : page.groups) attempts += group.count();
        row[1] = absl::StrCat(attempts);
        row[2] = absl::StrCat(page.groups.size(), page.truncated ? "+" : "");
      }
      row.push_back(Nanoseconds(cost.cpu_seconds * 1e9));
      row.push_back(absl::StrFormat("%.2f x", cost.cpu_seconds / bare.cpu_seconds));
      report.Add(std::move(row));
    }
    absl::PrintF(
        "\n%s  goal: 2 s for a day of 10 million rows; CPU and its ratio to the bare scan's are "
        "of 'again'\n",
        report.Text());
    return absl::OkStatus();
  }

  const Settings& settings_;
  Attempts attempts_;
  std::atomic<int64_t> clock_{kFirstTime};
  std::unique_ptr<EventStore> store_;
};

}  // namespace
}  // namespace postern::bench

int main(int argc, char** argv) {
  postern::bench::Settings settings;
  CLI::App app(
      "Measures the collector's store beside a bare SQLite loop, and beside a ClickHouse\n"
      "server and its own client (of at most ten million rows). Writes some 200 bytes a\n"
      "row below --folder and removes them; 100 million rows take half an hour or more.");
  app.add_option("--rows", settings.rows, "in the store")->check(CLI::Range(10'000, 1'000'000'000));
  app.add_option("--bare-rows", settings.bare_rows,
                 "in a file of the bare loop; if absent as many, "
                 "but not more than ten million");
  app.add_flag("--full", settings.full, "100 million rows");
  app.add_option("--folder", settings.folder, "where there is room; if absent TMPDIR or /tmp");
  std::string only;
  app.add_option("--only", only, "one of the stores: sqlite or clickhouse")
      ->check(CLI::IsMember({"sqlite", "clickhouse"}));
  CLI11_PARSE(app, argc, argv);
  if (settings.full) settings.rows = 100'000'000;
  if (settings.bare_rows == 0) settings.bare_rows = std::min<int64_t>(settings.rows, 10'000'000);
  std::string parent =
      settings.folder.empty() ? std::filesystem::temp_directory_path().string() : settings.folder;
  std::string name = parent + "/postern-store-bench-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) {
    postern::LogError("%s: no folder can be made there; name another by --folder", parent);
    return 1;
  }
  settings.folder = name;
  absl::Status status;
  if (only != "clickhouse") status = postern::bench::StoreBench(settings).Run();
  if (status.ok() && only != "sqlite") {
    // What it takes for a hundred million rows is measured with the files.
    status = postern::bench::MeasureClickHouse(std::min<int64_t>(settings.rows, 10'000'000), name);
  }
  std::filesystem::remove_all(name);
  if (status.ok()) return 0;
  postern::LogError("%s", status.message());
  return 1;
}
