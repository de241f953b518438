// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/postern.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/lab/files.h"

namespace postern::lab {

using support::Eventually;

using nlohmann::json;

namespace {

// Returns its exit code, and in `log` what it said.
int End(std::unique_ptr<Process>& process, int signal, std::string& log) {
  process->Signal(signal);
  const int exit_code = process->Wait().value_or(-1);
  log = process->Error();
  process.reset();
  return exit_code;
}

}  // namespace

std::string DefaultRules(const std::string& smtp) {
  return absl::StrCat("  - name: postfix\n    user: postfix\n    exe: ", smtp,
                      "\n    started_as: root\n    action: allow\n"
                      "  - name: local\n    destination: local\n    action: allow\n");
}

std::vector<json> Answer::Connects() const {
  std::vector<json> connects;
  for (const json& line : lines) {
    if (line.value("kind", "") == "connect") connects.push_back(line);
  }
  return connects;
}

json Answer::Completeness() const {
  return !lines.empty() && lines.back().value("kind", "") == "completeness" ? lines.back() : json();
}

Postern::Postern(const std::string& root, const std::string& binaries, const std::string& pins)
    : root_(root),
      binaries_(binaries),
      pins_(pins),
      posternd_(binaries + "/posternd"),
      config_file_(root + "/agent.yaml") {
  std::filesystem::create_directories(root_);
  std::filesystem::create_directories(root_ + "/store");
  WriteFile(root_ + "/collector.yaml",
            absl::StrCat("run_dir: ", root_, "/collector\nstore: sqlite:", store(), "\n"));
}

Postern::~Postern() {
  if (agent_ != nullptr && agent_->Running()) {
    EXPECT_EQ(StopAgent(), 0) << agent_log_;
  }
  if (collector_ != nullptr && collector_->Running()) {
    EXPECT_EQ(StopCollector(), 0) << collector_log_;
  }
  if (std::filesystem::exists(pins_)) {
    const support::Finished release = Release();
    EXPECT_EQ(release.exit_code, 0) << release.error;
    EXPECT_FALSE(std::filesystem::exists(pins_)) << "--release left pins behind";
  }
}

void Postern::Configure(const AgentConfig& config) {
  std::string text = absl::StrCat("mode: ", config.mode, "\nports: [25, 465, 587]\n");
  absl::StrAppend(&text, config.rules.empty() ? "" : "rules:\n", config.rules, "default: deny\n");
  absl::StrAppend(&text, "state_dir: ", state_dir(), "\nrun_dir: ", run_dir());
  absl::StrAppend(&text, "\nbpffs: ", pins_, "\nevents: ", event_log(), "\n");
  absl::StrAppend(&text, "host: ", config.host, "\n", config.extra);
  if (config.collector) {
    absl::StrAppend(&text, "collector:\n  address: ",
                    config.collector_address.empty() ? absl::StrCat("unix:", ingest_socket())
                                                     : config.collector_address,
                    "\n");
  }
  WriteFile(config_file_, text);
}

void Postern::BeginAgent(const std::vector<std::string>& wrapper) {
  agent_ = Process::Start(Posternd({"--config", config_file_}, wrapper), {.notify = true});
}

void Postern::StartAgent(const std::vector<std::string>& wrapper) {
  BeginAgent(wrapper);
  ASSERT_EQ(agent_->WaitReady(), absl::OkStatus());
}

void Postern::BeginCollector(const std::vector<std::string>& wrapper) {
  std::vector<std::string> command = wrapper;
  for (const std::string& word :
       {binaries_ + "/postern-collector", std::string("--config"), root_ + "/collector.yaml"}) {
    command.push_back(word);
  }
  collector_ = Process::Start(command, {.notify = true});
}

support::Finished Postern::BackUpStore(const std::string& file) {
  return support::RunToEnd(
      {binaries_ + "/postern-collector", "--config", root_ + "/collector.yaml", "--backup", file});
}

void Postern::StartCollector(const std::vector<std::string>& wrapper) {
  BeginCollector(wrapper);
  ASSERT_EQ(collector_->WaitReady(), absl::OkStatus());
}

int Postern::StopAgent() { return End(agent_, SIGTERM, agent_log_); }
int Postern::StopCollector() { return End(collector_, SIGTERM, collector_log_); }
void Postern::KillCollector() {
  EXPECT_EQ(End(collector_, SIGKILL, collector_log_), 128 + SIGKILL);
}
void Postern::KillAgent() { EXPECT_EQ(End(agent_, SIGKILL, agent_log_), 128 + SIGKILL); }

support::Finished Postern::RunAgent(const std::vector<std::string>& arguments,
                                    const std::vector<std::string>& wrapper) {
  return support::RunToEnd(Posternd(arguments, wrapper));
}

std::vector<std::string> Postern::Posternd(const std::vector<std::string>& arguments,
                                           std::vector<std::string> wrapper) const {
  wrapper.push_back(posternd_);
  wrapper.insert(wrapper.end(), arguments.begin(), arguments.end());
  return wrapper;
}

support::Finished Postern::Release() { return RunAgent({"--config", config_file_, "--release"}); }

Answer Postern::Ask(const std::vector<std::string>& words) {
  std::vector<std::string> command = {binaries_ + "/postern"};
  command.insert(command.end(), words.begin(), words.end());
  command.push_back("--json");
  if (words[0] == "query" || words[0] == "hosts" || words[0] == "evidence") {
    command.push_back(absl::StrCat("--collector=unix:", root_, "/collector/query.sock"));
  } else {
    command.push_back(absl::StrCat("--agent=unix:", run_dir(), "/admin.sock"));
  }
  const support::Finished asked = support::RunToEnd(command);
  Answer answer;
  answer.exit_code = asked.exit_code;
  answer.error = asked.error;
  for (const auto line : absl::StrSplit(asked.output, '\n', absl::SkipEmpty())) {
    answer.lines.push_back(json::parse(line, nullptr, /*allow_exceptions=*/false));
    EXPECT_FALSE(answer.lines.back().is_discarded()) << "not JSON: " << line;
  }
  return answer;
}

Answer Postern::Query(const std::vector<std::string>& words) {
  std::vector<std::string> command = {"query", "--since=-1h"};
  command.insert(command.end(), words.begin(), words.end());
  return Ask(command);
}

Answer Postern::QueryRecord() {
  const Answer hosts = Ask({"hosts"});
  const std::string first = hosts.lines.empty() ? "" : hosts.lines[0].value("first_seen", "");
  return Ask({"query", "--since", first.empty() ? "-1h" : first});
}

json Postern::Status() {
  const Answer answer = Ask({"status"});
  return answer.lines.empty() ? json::object() : answer.lines[0];
}

std::vector<json> Postern::Await(const std::function<bool(const json&)>& matches, size_t count) {
  std::vector<json> found;
  Answer answer;
  EXPECT_TRUE(Eventually([&] {
    found.clear();
    answer = Query();
    for (const json& event : answer.Connects()) {
      if (matches(event)) found.push_back(event);
    }
    return found.size() >= count;
  })) << found.size()
      << " of " << count << " events are in the answer of postern query, which has "
      << answer.lines.size() << " lines; " << answer.error;
  std::reverse(found.begin(), found.end());
  return found;
}

std::vector<json> Postern::AwaitPid(int64_t pid, size_t count) {
  return Await([pid](const json& event) { return event.value("pid", int64_t{-1}) == pid; }, count);
}

json Postern::AwaitOne(int64_t pid) {
  const std::vector<json> found = AwaitPid(pid);
  EXPECT_EQ(found.size(), 1u) << "of process " << pid;
  return found.empty() ? json::object() : found[0];
}

void Postern::ExpectComplete() {
  Answer answer;
  EXPECT_TRUE(Eventually([&] {
    answer = QueryRecord();
    return answer.exit_code == 0;
  })) << answer.Completeness()
      << answer.error;
  EXPECT_TRUE(answer.Completeness().value("complete", false)) << answer.Completeness();
}

std::string Postern::agent_log() const { return agent_ != nullptr ? agent_->Error() : agent_log_; }
std::string Postern::collector_log() const {
  return collector_ != nullptr ? collector_->Error() : collector_log_;
}

}  // namespace postern::lab
