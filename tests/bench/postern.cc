// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/postern.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status.h"
#include "tests/bench/program_stats.h"

namespace postern::bench {
namespace {

constexpr char kRules[] =
    "  - name: other\n"
    "    user: root\n"
    "    exe: /usr/bin/true\n"
    "    started_as: root\n"
    "    action: allow\n"
    "  - name: bench\n"
    "    user: root\n"
    "    action: allow\n";

constexpr absl::Duration kPatience = absl::Seconds(30);

absl::Status Executable(const std::string& path) {
  if (access(path.c_str(), X_OK) == 0) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(path, " is not built"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Postern>> Postern::Start(const Lab& lab, const std::string& bin,
                                                        absl::string_view mode, bool with_collector,
                                                        const std::string& rules) {
  RETURN_IF_ERROR(Executable(bin + "/posternd"));
  std::unique_ptr<Postern> postern(new Postern(lab, bin));
  if (with_collector) RETURN_IF_ERROR(postern->StartCollector());
  RETURN_IF_ERROR(postern->StartAgent(mode, with_collector, rules));
  return postern;
}

Postern::~Postern() {
  if (agent_ != nullptr) {
    agent_.reset();
    support::RunToEnd({bin_ + "/posternd", "--config", lab_.Path("agent.yaml"), "--release"},
                      {.network_namespace = lab_.host_netns()});
  }
  collector_.reset();
  std::error_code error;
  for (const char* name : {"agent", "agent-run", "collector-run", "collector.db"}) {
    std::filesystem::remove_all(lab_.Path(name), error);
  }
}

absl::Status Postern::StartCollector() {
  RETURN_IF_ERROR(Executable(bin_ + "/postern-collector"));
  std::filesystem::create_directories(lab_.Path("collector-run"));
  std::ofstream(lab_.Path("collector.yaml"))
      << "run_dir: " << lab_.Path("collector-run") << "\n"
      << "store: sqlite:" << lab_.Path("collector.db") << "\n";
  collector_ = support::Process::Start(
      {bin_ + "/postern-collector", "--config", lab_.Path("collector.yaml")},
      {.network_namespace = lab_.host_netns()});
  return collector_->WaitUntil(
      [this] {
        return Ask({"hosts", "--json"}).exit_code == 0;
      },
      kPatience);
}

absl::Status Postern::StartAgent(absl::string_view mode, bool with_collector,
                                 const std::string& rules) {
  std::filesystem::create_directories(lab_.Path("agent"));
  std::filesystem::create_directories(lab_.Path("agent-run"));
  std::ofstream config(lab_.Path("agent.yaml"));
  config << "mode: " << std::string(mode) << "\n"
         << "ports: [25, 465, 587]\n"
            "rules:\n"
         << (rules.empty() ? std::string(kRules) : rules)
         << "default: deny\n"
            "on_stop: release\n"
            "events: none\n"
            "host: bench\n"
            "bpffs: /sys/fs/bpf/postern-bench\n"
         << "state_dir: " << lab_.Path("agent") << "\n"
         << "run_dir: " << lab_.Path("agent-run") << "\n";
  if (with_collector) {
    config << "collector:\n  address: unix:" << lab_.Path("collector-run/ingest.sock") << "\n";
  }
  config.close();
  agent_ = support::Process::Start({bin_ + "/posternd", "--config", lab_.Path("agent.yaml")},
                                   {.network_namespace = lab_.host_netns(), .notify = true});
  return agent_->WaitReady(kPatience);
}

std::vector<uint32_t> Postern::Programs() const { return ProgramsOfProcess(agent_->pid()); }

support::Finished Postern::Ask(Arguments arguments) const {
  const bool of_agent = arguments.front() == "status";
  arguments.insert(arguments.begin(), bin_ + "/postern");
  arguments.push_back(of_agent ? "--agent" : "--collector");
  arguments.push_back("unix:" +
                      lab_.Path(of_agent ? "agent-run/read.sock" : "collector-run/query.sock"));
  return support::RunToEnd(arguments);
}

}  // namespace postern::bench
