// SPDX-License-Identifier: Apache-2.0
// postern_delivery_bench: what postern-collector takes to store what agents send it,
// beside a gRPC server that acknowledges the same batches and forgets them; and
// whether the collector's memory stays as it is meanwhile. Both by turns.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/log.h"
#include "common/status.h"
#include "tests/bench/delivery/echo.h"
#include "tests/bench/delivery/senders.h"
#include "tests/bench/rest.h"
#include "tests/bench/samples.h"
#include "tests/bench/store/attempts.h"
#include "tests/support/process.h"

namespace postern::bench {
namespace {

constexpr int kParts = 10;
constexpr double kMib = 1024.0 * 1024.0;

struct Settings {
  std::string bin;
  std::string folder;
  std::string echo;
  int64_t events = 1'000'000;
  int agents = 16;
  int under_way = 8;
  int single = 2'000;
};

// A server of its own, and what it took for what it was sent.
class Peer {
 public:
  static absl::StatusOr<std::unique_ptr<Peer>> Start(std::vector<std::string> command,
                                                     const std::string& address, int agents) {
    std::unique_ptr<Peer> peer(new Peer);
    peer->process_ = support::Process::Start(std::move(command));
    const std::string socket = address.substr(address.find(':') + 1);
    RETURN_IF_ERROR(peer->process_->WaitUntil([&] { return std::filesystem::is_socket(socket); }));
    ASSIGN_OR_RETURN(peer->senders_, Senders::Connect(address, agents));
    return peer;
  }

  absl::Status Send(Attempts& attempts, int64_t events, int batch_events, int under_way) {
    ASSIGN_OR_RETURN(const uint64_t before, ReadCpuNs(process_->pid()));
    ASSIGN_OR_RETURN(last_, senders_->Send(attempts, events, batch_events, under_way));
    ASSIGN_OR_RETURN(const uint64_t after, ReadCpuNs(process_->pid()));
    cpu_ns_ = static_cast<double>(after - before) / static_cast<double>(events);
    seconds_ += last_.seconds;
    all_.Add(last_.acknowledged_ns);
    return absl::OkStatus();
  }

  absl::StatusOr<double> ResidentMib() const {
    ASSIGN_OR_RETURN(const Memory memory, ReadMemory(process_->pid()));
    return static_cast<double>(memory.resident_bytes) / kMib;
  }

  const Delivered& last() const { return last_; }
  double cpu_ns() const { return cpu_ns_; }  // an event, of the last
  double seconds() const { return seconds_; }
  const Samples& acknowledged_ns() const { return all_; }

 private:
  Peer() = default;

  std::unique_ptr<support::Process> process_;
  std::unique_ptr<Senders> senders_;
  Delivered last_;
  double cpu_ns_ = 0;
  double seconds_ = 0;
  Samples all_;
};

class DeliveryBench {
 public:
  explicit DeliveryBench(const Settings& settings) : settings_(settings) {}

  absl::Status Run() {
    ASSIGN_OR_RETURN(const std::unique_ptr<Peer> echo, StartEcho(settings_.agents));
    ASSIGN_OR_RETURN(const std::unique_ptr<Peer> collector, StartCollector(settings_.agents));
    RETURN_IF_ERROR(Many(*echo, *collector));
    return OneByOne();
  }

 private:
  absl::StatusOr<std::unique_ptr<Peer>> StartEcho(int agents) {
    const std::string address =
        absl::StrCat("unix:", settings_.folder, "/echo", ++started_, ".sock");
    return Peer::Start({std::filesystem::read_symlink("/proc/self/exe"), "--echo", address},
                       address, agents);
  }

  absl::StatusOr<std::unique_ptr<Peer>> StartCollector(int agents) {
    const std::string folder = absl::StrCat(settings_.folder, "/collector", ++started_);
    const std::string run = folder + "/run";
    std::filesystem::create_directories(run);
    std::ofstream(folder + "/collector.yaml") << "run_dir: " << run << "\n"
                                              << "store: sqlite:" << folder << "/events.db\n"
                                              << "retention: 3650d\n";
    return Peer::Start(
        {settings_.bin + "/postern-collector", "--config", folder + "/collector.yaml"},
        absl::StrCat("unix:", run, "/ingest.sock"), agents);
  }

  absl::Status Many(Peer& echo, Peer& collector) {
    Attempts of_echo(settings_.events);
    Attempts of_collector(settings_.events);
    Report report(
        {"events sent", "events/s", "echo", "ratio", "CPU an event", "echo", "resident, MiB"});
    const int64_t part = settings_.events / kParts;
    for (int i = 1; i <= kParts; ++i) {
      RETURN_IF_ERROR(echo.Send(of_echo, part, kBatchEvents, settings_.under_way));
      RETURN_IF_ERROR(collector.Send(of_collector, part, kBatchEvents, settings_.under_way));
      ASSIGN_OR_RETURN(const double resident, collector.ResidentMib());
      const double taken = static_cast<double>(part) / collector.last().seconds;
      const double echoed = static_cast<double>(part) / echo.last().seconds;
      report.Add({absl::StrCat(part * i), absl::StrFormat("%.0f", taken),
                  absl::StrFormat("%.0f", echoed), absl::StrFormat("%.2f x", taken / echoed),
                  Nanoseconds(collector.cpu_ns()), Nanoseconds(echo.cpu_ns()),
                  absl::StrFormat("%.1f", resident)});
    }
    absl::PrintF(
        "%d agents, %d batches of %d events of each under way, acknowledged after commit;\n"
        "beside a gRPC server that acknowledges the same batches at once; by turns\n%s\n",
        settings_.agents, settings_.under_way, kBatchEvents, report.Text());
    PrintLatencies("a batch, sent to acknowledged", echo, collector);
    return absl::OkStatus();
  }

  // What one attempt after the other takes to be on the collector's disk.
  absl::Status OneByOne() {
    ASSIGN_OR_RETURN(const std::unique_ptr<Peer> echo, StartEcho(1));
    ASSIGN_OR_RETURN(const std::unique_ptr<Peer> collector, StartCollector(1));
    Attempts of_echo(settings_.single);
    Attempts of_collector(settings_.single);
    for (int i = 0; i < kParts; ++i) {
      const int64_t part = settings_.single / kParts;
      RETURN_IF_ERROR(echo->Send(of_echo, part, 1, 1));
      RETURN_IF_ERROR(collector->Send(of_collector, part, 1, 1));
    }
    PrintLatencies("one event at a time", *echo, *collector);
    return absl::OkStatus();
  }

  static void PrintLatencies(const char* what, const Peer& echo, const Peer& collector) {
    Report report({what, "p50", "p99", "longest"});
    for (const auto& [name, peer] :
         {std::pair{"echo", &echo}, std::pair{"collector", &collector}}) {
      const Samples& samples = peer->acknowledged_ns();
      report.Add({name, Nanoseconds(samples.Median()), Nanoseconds(samples.Quantile(0.99)),
                  Nanoseconds(samples.Quantile(1))});
    }
    absl::PrintF("%s\n", report.Text());
  }

  const Settings& settings_;
  int started_ = 0;
};

absl::Status Run(Settings settings) {
  if (!settings.echo.empty()) return ServeEcho(settings.echo);
  std::string folder = (settings.folder.empty() ? std::filesystem::temp_directory_path().string()
                                                : settings.folder) +
                       "/postern-delivery-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return ErrnoStatus(errno, folder);
  settings.folder = folder;
  absl::Status status = DeliveryBench(settings).Run();
  std::filesystem::remove_all(folder);
  return status;
}

}  // namespace
}  // namespace postern::bench

int main(int argc, char** argv) {
  postern::bench::Settings settings;
  settings.bin = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  CLI::App app(
      "Measures what postern-collector takes to store what agents send, beside a gRPC echo.");
  app.add_option("--bin", settings.bin, "where postern-collector is");
  app.add_option("--folder", settings.folder, "for what is stored; the temporary folder if absent");
  app.add_option("--events", settings.events)->check(CLI::Range(10'000, 100'000'000));
  app.add_option("--agents", settings.agents)->check(CLI::Range(1, 256));
  app.add_option("--under-way", settings.under_way, "batches of each agent")
      ->check(CLI::Range(1, 256));
  app.add_option("--single", settings.single, "events sent one at a time")
      ->check(CLI::Range(10, 1'000'000));
  app.add_option("--echo", settings.echo, "only serve the echo at this address")->group("");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = postern::bench::Run(settings);
  if (!status.ok()) {
    postern::LogError("%s", status.message());
    return 1;
  }
  return 0;
}
