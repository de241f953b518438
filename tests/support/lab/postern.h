// SPDX-License-Identifier: Apache-2.0
// The product under test, as it is shipped: posternd, postern-collector and
// postern from the build's bin folder, with everything they keep in a folder of
// the test and pins of their own.
#ifndef POSTERN_TESTS_SUPPORT_LAB_POSTERN_H_
#define POSTERN_TESTS_SUPPORT_LAB_POSTERN_H_

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace postern::lab {

using support::Process;

struct AgentConfig {
  std::string mode = "monitor";
  std::string rules;  // YAML, as under `rules:`; indented by two
  std::string extra;  // further lines
  std::string host = "lab.example.net";
  bool collector = true;
  std::string collector_address;  // empty: its ingest.sock
};

// What a command of `postern --json` printed.
struct Answer {
  int exit_code = -1;
  std::vector<nlohmann::json> lines;
  std::string error;  // standard error

  // Lines of `kind` connect.
  std::vector<nlohmann::json> Connects() const;
  // The last line of a query; null when it is something else.
  nlohmann::json Completeness() const;
};

// Rules `postfix` and `local` of the shipped file, for that smtp(8).
std::string DefaultRules(const std::string& smtp);

class Postern {
 public:
  // `binaries`: the build's bin folder. `pins`: a folder in a bpffs, not there yet.
  Postern(const std::string& root, const std::string& binaries, const std::string& pins);
  // Stops both, and takes the pins down.
  ~Postern();
  Postern(const Postern&) = delete;
  Postern& operator=(const Postern&) = delete;

  void Configure(const AgentConfig& config);
  // Until the agent judges. A failure says what it said. `wrapper` comes before
  // its name: a program that changes what it finds.
  void StartAgent(const std::vector<std::string>& wrapper = {});
  // Does not wait for it.
  void BeginAgent(const std::vector<std::string>& wrapper = {});
  // From its next start on, another build of posternd.
  void UseBuild(const std::string& posternd) { posternd_ = posternd; }
  // `wrapper` as for the agent.
  void StartCollector(const std::vector<std::string>& wrapper = {});
  // Does not wait for it.
  void BeginCollector(const std::vector<std::string>& wrapper = {});
  // SIGTERM; returns the exit code.
  int StopAgent();
  int StopCollector();
  // SIGKILL.
  void KillAgent();
  void KillCollector();

  // Runs posternd to its end, for when it is expected not to stay.
  support::Finished RunAgent(const std::vector<std::string>& arguments,
                             const std::vector<std::string>& wrapper = {});
  // --release.
  support::Finished Release();
  // postern-collector --backup.
  support::Finished BackUpStore(const std::string& file);

  // `postern WORDS… --json` with this agent and collector.
  Answer Ask(const std::vector<std::string>& words);
  // `postern query` of everything, or with further words.
  Answer Query(const std::vector<std::string>& words = {});
  // The same since the host's first report: the time before is never complete.
  Answer QueryRecord();
  nlohmann::json Status();

  // Waits for connects that `matches` holds for, `count` at least, in what
  // `postern query` finds; then returns all that match, oldest first.
  std::vector<nlohmann::json> Await(const std::function<bool(const nlohmann::json&)>& matches,
                                    size_t count = 1);
  std::vector<nlohmann::json> AwaitPid(int64_t pid, size_t count = 1);
  // The one connect of that process; a test fails when there are none or several.
  nlohmann::json AwaitOne(int64_t pid);

  // Waits until the record of the one host reaches from its first report up to now,
  // with nothing missing.
  void ExpectComplete();

  Process& agent() { return *agent_; }
  Process& collector() { return *collector_; }
  bool agent_runs() const { return agent_ != nullptr; }
  const std::string& config_file() const { return config_file_; }
  const std::string& pins() const { return pins_; }
  const std::string& posternd() const { return posternd_; }
  std::string state_dir() const { return root_ + "/state"; }
  std::string run_dir() const { return root_ + "/run"; }
  std::string ingest_socket() const { return root_ + "/collector/ingest.sock"; }
  std::string store() const { return root_ + "/store/events.db"; }
  // Where the agent writes an event a line.
  std::string event_log() const { return root_ + "/events.json"; }
  // What it said, or the one before it while none runs.
  std::string agent_log() const;
  std::string collector_log() const;

 private:
  // The whole command line.
  std::vector<std::string> Posternd(const std::vector<std::string>& arguments,
                                    std::vector<std::string> wrapper) const;

  std::string root_;
  std::string binaries_;
  std::string pins_;
  std::string posternd_;
  std::string config_file_;
  std::unique_ptr<Process> agent_;
  std::unique_ptr<Process> collector_;
  std::string agent_log_;
  std::string collector_log_;
};

}  // namespace postern::lab

#endif  // POSTERN_TESTS_SUPPORT_LAB_POSTERN_H_
