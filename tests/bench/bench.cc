// SPDX-License-Identifier: Apache-2.0
// postern_bench: what Postern costs beside what is used without it. Prints
// ratios; absolute times belong to the machine and its mood.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/log.h"
#include "common/status.h"
#include "tests/bench/lab.h"
#include "tests/bench/latency.h"
#include "tests/bench/memory.h"
#include "tests/bench/program_stats.h"
#include "tests/bench/rules.h"
#include "tests/bench/samples.h"
#include "tests/bench/variants.h"
#include "tests/bench/workload.h"

namespace postern::bench {
namespace {

// Set by SIGINT and SIGTERM: what was put up is still taken down.
volatile std::sig_atomic_t interrupted = 0;

void Interrupt(int) { interrupted = 1; }

struct Settings {
  std::string bin;
  int rounds = 5;
  int connects = 2000;
  // Whole records: fewer than its ring and its table of repeats hold.
  int records = 400;
  int execs = 100;
  int rest_seconds = 60;  // with one of the canaries that come each minute
  int latency_attempts = 60;
  bool rules = false;
  bool memory = false;
  int64_t events = 1'000'000;
  std::vector<std::string> skip;
};

struct Load {
  absl::string_view name;
  uint16_t port;
  Destination destination;
};
// A visit's work is cut in parts, each a sample, so that the median sees through
// what else the machine does.
constexpr int kParts = 5;
constexpr Load kLoads[] = {{"unwatched port", kUnwatchedPort, Destination::kEachItsOwn},
                           {"watched, repeated", kWatchedPort, Destination::kSame},
                           {"watched, each new", kWatchedPort, Destination::kEachItsOwn}};

// All that was measured under one variant.
struct Measured {
  std::map<absl::string_view, Samples> connect_ns;  // by load
  Samples exec_ns;
  std::map<absl::string_view, ProgramTimes> programs;  // by load, and "exec"
  std::map<absl::string_view, uint64_t> operations;
  std::string skipped;
};

class Comparison {
 public:
  Comparison(const Lab& lab, const Settings& settings) : settings_(settings) {
    Add(MakeNothing());
    Add(MakeEmptyProgram(lab));
    Add(MakePostern(lab, settings.bin, "monitor"));
    Add(MakePostern(lab, settings.bin, "enforce"));
    Add(MakeNftRule());
    Add(MakeIptablesRule());
    Add(MakeAuditRule(lab));
  }

  void Run() {
    for (int round = 0; round < settings_.rounds; ++round) {
      absl::FPrintF(stderr, "round %d of %d\n", round + 1, settings_.rounds);
      for (size_t i = 0; i < variants_.size(); ++i) {
        // Each in its turn comes first.
        Variant& variant = *variants_[(i + static_cast<size_t>(round)) % variants_.size()];
        Measured& measured = measured_[variant.name()];
        if (!measured.skipped.empty()) continue;
        if (interrupted != 0) return;
        absl::Status status = variant.Up();
        if (status.ok()) status = Measure(variant, measured);
        variant.Down();
        if (!status.ok()) measured.skipped = absl::StrReplaceAll(status.message(), {{"\n", " "}});
      }
    }
  }

  void Print() const {
    for (const auto& variant : variants_) {
      const Measured& measured = measured_.at(variant->name());
      if (!measured.skipped.empty()) {
        absl::PrintF("skipped: %s: %s\n", variant->name(), measured.skipped);
      }
    }
    PrintConnects();
    PrintConnectPrograms();
    PrintExecs();
  }

 private:
  void Add(std::unique_ptr<Variant> variant) {
    Measured& measured = measured_[variant->name()];
    for (const std::string& skipped : settings_.skip) {
      if (absl::StrContains(variant->name(), skipped)) measured.skipped = "as asked";
    }
    variants_.push_back(std::move(variant));
  }

  int Count(const Load& load) const {
    const bool whole_records =
        load.destination == Destination::kEachItsOwn && load.port == kWatchedPort;
    return std::max(1, (whole_records ? settings_.records : settings_.connects) / kParts);
  }

  absl::StatusOr<double> Connects(const Variant& variant, const Load& load) const {
    const auto time = variant.needs_new_process() ? TimeConnectsInChild : TimeConnects;
    return time(load.port, load.destination, Count(load));
  }

  absl::Status Measure(const Variant& variant, Measured& measured) {
    for (const Load& load : kLoads) {
      for (int part = 0; part < kParts; ++part) {
        ASSIGN_OR_RETURN(const double ns, Connects(variant, load));
        measured.connect_ns[load.name].Add(ns);
      }
      LetOthersCatchUp();
    }
    if (variant.tracks_processes()) {
      for (int part = 0; part < kParts; ++part) {
        ASSIGN_OR_RETURN(const double ns, TimeExecs(std::max(1, settings_.execs / kParts)));
        measured.exec_ns.Add(ns);
      }
      LetOthersCatchUp();
    }
    return MeasurePrograms(variant, measured);
  }

  absl::Status MeasurePrograms(const Variant& variant, Measured& measured) {
    const std::vector<uint32_t> ids = variant.Programs();
    if (ids.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const UniqueFd enabled, EnableProgramStats());
    for (const Load& load : kLoads) {
      ASSIGN_OR_RETURN(const ProgramTimes before, ReadProgramTimes(ids));
      RETURN_IF_ERROR(Connects(variant, load).status());
      ASSIGN_OR_RETURN(const ProgramTimes after, ReadProgramTimes(ids));
      AddDifference(measured.programs[load.name], before, after);
      measured.operations[load.name] += static_cast<uint64_t>(Count(load));
      LetOthersCatchUp();
    }
    if (!variant.tracks_processes()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const ProgramTimes before, ReadProgramTimes(ids));
    RETURN_IF_ERROR(TimeExecs(settings_.execs).status());
    ASSIGN_OR_RETURN(const ProgramTimes after, ReadProgramTimes(ids));
    AddDifference(measured.programs["exec"], before, after);
    measured.operations["exec"] += static_cast<uint64_t>(settings_.execs);
    return absl::OkStatus();
  }

  // The agent and auditd work on after a batch; the next one is not to pay for it.
  static void LetOthersCatchUp() { absl::SleepFor(absl::Milliseconds(150)); }

  static std::string Ratio(double value, double base) {
    return base > 0 && value > 0 ? absl::StrFormat("%.2f x", value / base) : "-";
  }

  void PrintConnects() const {
    absl::PrintF(
        "\nsocket + connect + close to a closed port of loopback, wall time, median of %d "
        "rounds;\nratio to nothing\n",
        settings_.rounds);
    Report report({"", "unwatched port", "", "watched, repeated", "", "watched, each new", ""});
    const Measured& nothing = measured_.at("nothing");
    for (const auto& variant : variants_) {
      const Measured& measured = measured_.at(variant->name());
      if (!measured.skipped.empty()) continue;
      std::vector<std::string> row = {variant->name()};
      for (const Load& load : kLoads) {
        const double ns = measured.connect_ns.at(load.name).Median();
        row.push_back(Nanoseconds(ns));
        row.push_back(nothing.skipped.empty() ? Ratio(ns, nothing.connect_ns.at(load.name).Median())
                                              : "-");
      }
      report.Add(std::move(row));
    }
    absl::PrintF("%s", report.Text());
  }

  // Of the programs that ran in a load once for each connect: their mean.
  static double MeanNs(const Measured& measured, absl::string_view load) {
    const auto programs = measured.programs.find(load);
    if (programs == measured.programs.end()) return 0;
    for (const auto& [name, time] : programs->second) {
      if (absl::StrContains(name, "connect4") && time.runs > 0) {
        return static_cast<double>(time.ns) / static_cast<double>(time.runs);
      }
    }
    return 0;
  }

  void PrintConnectPrograms() const {
    absl::PrintF("\nprogram at connect4, mean run time by bpf_stats; ratio to the empty program\n");
    Report report({"", "unwatched port", "", "watched, repeated", "", "watched, each new", ""});
    const Measured& empty = measured_.at("empty program");
    for (const auto& variant : variants_) {
      const Measured& measured = measured_.at(variant->name());
      if (!measured.skipped.empty() || measured.programs.empty()) continue;
      std::vector<std::string> row = {variant->name()};
      for (const Load& load : kLoads) {
        const double ns = MeanNs(measured, load.name);
        row.push_back(ns > 0 ? Nanoseconds(ns) : "-");
        row.push_back(Ratio(ns, MeanNs(empty, load.name)));
      }
      report.Add(std::move(row));
    }
    absl::PrintF("%s  goals: unwatched 1.15 x; each new 3 µs where the empty one shows 0.1 µs\n",
                 report.Text());
  }

  void PrintExecs() const {
    absl::PrintF(
        "\nfork + exec + exit of `true`, wall time, median of %d rounds; ratio to "
        "nothing\n",
        settings_.rounds);
    Report report({"", "wall", "", "programs", "share of wall"});
    const Measured& nothing = measured_.at("nothing");
    for (const auto& variant : variants_) {
      const Measured& measured = measured_.at(variant->name());
      if (!measured.skipped.empty() || measured.exec_ns.empty()) continue;
      const double wall = measured.exec_ns.Median();
      double programs = 0;
      if (const auto times = measured.programs.find("exec"); times != measured.programs.end()) {
        for (const auto& [name, time] : times->second) programs += static_cast<double>(time.ns);
        programs /= static_cast<double>(measured.operations.at("exec"));
      }
      report.Add({variant->name(), Nanoseconds(wall), Ratio(wall, nothing.exec_ns.Median()),
                  programs > 0 ? Nanoseconds(programs) : "-",
                  programs > 0 ? absl::StrFormat("%.2f %%", 100 * programs / wall) : "-"});
    }
    absl::PrintF("%s  goal: 1.02 x\n", report.Text());
    for (const auto& variant : variants_) {
      const Measured& measured = measured_.at(variant->name());
      const auto times = measured.programs.find("exec");
      if (!measured.skipped.empty() || times == measured.programs.end()) continue;
      for (const auto& [name, time] : times->second) {
        if (time.runs == 0) continue;
        absl::PrintF("  %s: %s ran %d times, %s each\n", variant->name(), name, time.runs,
                     Nanoseconds(static_cast<double>(time.ns) / static_cast<double>(time.runs)));
      }
    }
    absl::PrintF("\n");
  }

  const Settings& settings_;
  std::vector<std::unique_ptr<Variant>> variants_;
  std::map<std::string, Measured> measured_;
};

absl::Status Run(const Settings& settings) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Lab> lab, Lab::Create());
  ASSIGN_OR_RETURN(const size_t others, CountConnectPrograms(lab->cgroup_root()));
  if (others > 0) {
    absl::PrintF("note: %d other program(s) at connect4 of %s; ratios come out too low\n", others,
                 lab->cgroup_root());
  }
  if (settings.rules) {
    RETURN_IF_ERROR(MeasureRules(*lab, settings.bin, settings.rounds, settings.connects,
                                 [] { return interrupted == 0; }));
    if (interrupted != 0) return absl::CancelledError("interrupted; nothing is left behind");
    return absl::OkStatus();
  }
  if (settings.memory) {
    return MeasureMemory(*lab, settings.bin, settings.events, [] { return interrupted == 0; });
  }
  Comparison comparison(*lab, settings);
  comparison.Run();
  if (interrupted != 0) return absl::CancelledError("interrupted; nothing is left behind");
  comparison.Print();
  const absl::Status whole =
      MeasureWhole(*lab, settings.bin, settings.rest_seconds, settings.latency_attempts);
  if (!whole.ok()) absl::PrintF("skipped: agent and collector together: %s\n", whole.message());
  return absl::OkStatus();
}

}  // namespace
}  // namespace postern::bench

int main(int argc, char** argv) {
  postern::bench::Settings settings;
  settings.bin = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  CLI::App app(
      "Measures what Postern costs. Needs root; changes nothing that it does not undo,\n"
      "except that processes started after the auditd rule keep being prepared for\n"
      "auditing until the machine is booted again (--skip auditd).");
  app.add_option("--bin", settings.bin, "where posternd, postern-collector and postern are");
  app.add_option("--rounds", settings.rounds, "of all variants")->check(CLI::Range(1, 1000));
  app.add_option("--connects", settings.connects, "a round and variant")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--records", settings.records, "a round and variant, of whole records")
      ->check(CLI::Range(1, 100'000));
  app.add_option("--execs", settings.execs, "a round and variant")->check(CLI::Range(1, 100'000));
  app.add_flag("--rules", settings.rules,
               "only this: cost by number of rules, users and destinations, beside nft and "
               "iptables");
  auto* memory = app.add_flag("--memory", settings.memory,
                              "only this: memory of agent and collector over many events");
  app.add_option("--events", settings.events, "of --memory")
      ->check(CLI::Range(1'000, 100'000'000))
      ->needs(memory);
  app.add_option("--rest", settings.rest_seconds, "seconds at rest")->check(CLI::Range(1, 3600));
  app.add_option("--latency", settings.latency_attempts, "attempts looked for")
      ->check(CLI::Range(1, 60'000));
  app.add_option("--skip", settings.skip, "variants whose name contains this")
      ->allow_extra_args(false);
  CLI11_PARSE(app, argc, argv);
  struct sigaction action = {};
  action.sa_handler = postern::bench::Interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  const absl::Status status = postern::bench::Run(settings);
  if (!status.ok()) {
    postern::LogError("%s", status.message());
    return 1;
  }
  return 0;
}
