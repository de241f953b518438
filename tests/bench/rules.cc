// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/rules.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status.h"
#include "tests/bench/command.h"
#include "tests/bench/postern.h"
#include "tests/bench/program_stats.h"
#include "tests/bench/samples.h"
#include "tests/bench/workload.h"

namespace postern::bench {
namespace {

constexpr int kParts = 5;

// Nobody of the bench has these, so that every rule is looked at and none matches.
int User(int i) { return 300000 + i; }
std::string Network(int i) { return absl::StrCat("198.18.", i / 256, ".", i % 256); }

enum class Of { kRules, kUsers, kDestinations };

struct Size {
  Of of;
  int count;
  const char* unit;
};
constexpr Size kSizes[] = {
    {Of::kRules, 1, "rule"},
    {Of::kRules, 10, "rules"},
    {Of::kRules, 100, "rules"},
    {Of::kRules, 256, "rules"},
    {Of::kUsers, 10, "users"},
    {Of::kUsers, 1000, "users"},
    {Of::kUsers, 10000, "users"},
    {Of::kDestinations, 10, "destinations"},
    {Of::kDestinations, 1000, "destinations"},
    {Of::kDestinations, 10000, "destinations"},
};

// The last rule is the one that lets the bench pass, of all three.
std::string PosternRules(const Size& size) {
  std::string rules;
  if (size.of == Of::kRules) {
    for (int i = 1; i < size.count; ++i) {
      absl::StrAppend(&rules, "  - {name: r", i, ", user: ", User(i), ", destination: ", Network(i),
                      ", action: deny}\n");
    }
  } else {
    absl::StrAppend(&rules, "  - {name: many, action: deny, ",
                    size.of == Of::kUsers ? "user" : "destination", ": [");
    for (int i = 0; i < size.count; ++i) {
      absl::StrAppend(&rules, i == 0 ? "" : ", ",
                      size.of == Of::kUsers ? absl::StrCat(User(i)) : Network(i));
    }
    absl::StrAppend(&rules, "]}\n");
  }
  return absl::StrCat(rules, "  - {name: bench, user: root, action: allow}\n");
}

// One filter rule for each, which is what those who have no sets write.
std::string FilterRules(const Size& size, const std::function<std::string(int, bool, bool)>& rule) {
  std::string rules;
  for (int i = size.of == Of::kRules ? 1 : 0; i < size.count; ++i) {
    absl::StrAppend(&rules, rule(i, size.of != Of::kDestinations, size.of != Of::kUsers), "\n");
  }
  return rules;
}

std::string NftRules(const Size& size) {
  const auto rule = [](int i, bool user, bool network) {
    return absl::StrCat("tcp dport 25", user ? absl::StrCat(" meta skuid ", User(i)) : "",
                        network ? " ip daddr " + Network(i) : "", " reject");
  };
  return absl::StrCat(
      "table inet postern_bench { chain output { type filter hook output priority 0;\n",
      FilterRules(size, rule), "tcp dport 25 meta skuid 0 accept\n}\n}\n");
}

std::string IptablesRules(const Size& size) {
  const auto rule = [](int i, bool user, bool network) {
    return absl::StrCat("-A OUTPUT", network ? " -d " + Network(i) : "", " -p tcp --dport 25",
                        user ? absl::StrCat(" -m owner --uid-owner ", User(i)) : "", " -j REJECT");
  };
  return absl::StrCat("*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n",
                      FilterRules(size, rule),
                      "-A OUTPUT -p tcp --dport 25 -m owner --uid-owner 0 -j ACCEPT\nCOMMIT\n");
}

struct Row {
  Samples nothing, postern, nft, iptables;  // wall time of a connect
  ProgramTime program;
};

absl::Status TimeInto(Samples& samples, int connects) {
  for (int part = 0; part < kParts; ++part) {
    ASSIGN_OR_RETURN(const double ns, TimeConnects(kWatchedPort, Destination::kSame,
                                                   std::max(1, connects / kParts)));
    samples.Add(ns);
  }
  return absl::OkStatus();
}

class RulesBench {
 public:
  RulesBench(const Lab& lab, const std::string& bin, int connects)
      : lab_(lab), bin_(bin), connects_(connects) {}

  absl::Status Measure(const Size& size, Row& row) const {
    RETURN_IF_ERROR(TimeInto(row.nothing, connects_));
    RETURN_IF_ERROR(MeasurePostern(size, row));
    RETURN_IF_ERROR(Filter({"nft", "-f"}, NftRules(size),
                           {"nft", "delete", "table", "inet", "postern_bench"}, row.nft));
    return Filter({"iptables-restore"}, IptablesRules(size), {"iptables", "-F", "OUTPUT"},
                  row.iptables);
  }

 private:
  absl::Status MeasurePostern(const Size& size, Row& row) const {
    ASSIGN_OR_RETURN(
        const std::unique_ptr<Postern> postern,
        Postern::Start(lab_, bin_, "enforce", /*with_collector=*/false, PosternRules(size)));
    RETURN_IF_ERROR(TimeInto(row.postern, connects_));
    ASSIGN_OR_RETURN(const UniqueFd enabled, EnableProgramStats());
    const std::vector<uint32_t> ids = postern->Programs();
    ASSIGN_OR_RETURN(const ProgramTimes before, ReadProgramTimes(ids));
    Samples ignored;
    RETURN_IF_ERROR(TimeInto(ignored, connects_));
    ASSIGN_OR_RETURN(const ProgramTimes after, ReadProgramTimes(ids));
    ProgramTimes times;
    AddDifference(times, before, after);
    for (const auto& [name, time] : times) {
      if (!absl::StrContains(name, "connect4")) continue;
      row.program.runs += time.runs;
      row.program.ns += time.ns;
    }
    return absl::OkStatus();
  }

  // Rules go into the network namespace of the bench, which goes with it.
  absl::Status Filter(Arguments load, const std::string& rules, const Arguments& unload,
                      Samples& samples) const {
    const std::string file = lab_.Path("filter-rules");
    std::ofstream(file) << rules;
    load.push_back(file);
    RETURN_IF_ERROR(RunChecked(load).status());
    const absl::Status timed = TimeInto(samples, connects_);
    RETURN_IF_ERROR(RunChecked(unload).status());
    return timed;
  }

  const Lab& lab_;
  const std::string& bin_;
  const int connects_;
};

}  // namespace

absl::Status MeasureRules(const Lab& lab, const std::string& bin, int rounds, int connects,
                          bool (*go_on)()) {
  const RulesBench bench(lab, bin, connects);
  std::vector<Row> rows(std::size(kSizes));
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < rows.size(); ++i) {
      if (!go_on()) return absl::OkStatus();
      absl::FPrintF(stderr, "round %d of %d: %d %s\n", round + 1, rounds, kSizes[i].count,
                    kSizes[i].unit);
      RETURN_IF_ERROR(bench.Measure(kSizes[i], rows[i]));
    }
  }
  absl::PrintF(
      "\nsocket + connect + close to a closed watched port of loopback, no rule but the last "
      "matches;\nwall time, median of %d rounds, ratio to no rules in the same run; program: mean "
      "at connect4\n",
      rounds);
  Report report({"", "no rules", "postern", "", "program", "nft", "", "iptables", ""});
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    std::vector<std::string> cells = {absl::StrCat(kSizes[i].count, " ", kSizes[i].unit),
                                      Nanoseconds(row.nothing.Median())};
    for (const Samples* samples : {&row.postern, &row.nft, &row.iptables}) {
      cells.push_back(Nanoseconds(samples->Median()));
      cells.push_back(absl::StrFormat("%.2f x", samples->Median() / row.nothing.Median()));
      if (samples != &row.postern) continue;
      cells.push_back(row.program.runs == 0 ? "-"
                                            : Nanoseconds(static_cast<double>(row.program.ns) /
                                                          static_cast<double>(row.program.runs)));
    }
    report.Add(std::move(cells));
  }
  absl::PrintF("%s", report.Text());
  return absl::OkStatus();
}

}  // namespace postern::bench
