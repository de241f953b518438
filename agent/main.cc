// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/agent.h"
#include "agent/policy/loader.h"
#include "agent/startup_config.h"
#include "common/log.h"

namespace postern::agent {
namespace {

constexpr char kDefaultConfig[] = "/etc/postern/agent.yaml";
constexpr int kStopped = 0;
constexpr int kCouldNotRun = 1;
constexpr int kConfigRefused = 2;

int CheckConfig(const std::string& file) {
  const policy::LoadedConfig loaded = policy::CheckConfigFile(file);
  for (const std::string& line : loaded.Lines()) std::printf("%s\n", line.c_str());
  if (!loaded.ok()) return kConfigRefused;
  std::printf("%s: accepted, %zu rules, mode %s\n", file.c_str(), loaded.config->rules.size(),
              ModeName(loaded.config->mode).c_str());
  return kStopped;
}

// Folders alone are no pins. Where the folder cannot be looked into, taking it
// down says why.
bool AnythingPinned(const std::string& folder) {
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(folder, error), end; it != end;
       it.increment(error)) {
    if (!error && !it->is_directory(error)) return true;
    if (error) break;
  }
  return static_cast<bool>(error) && error != std::errc::no_such_file_or_directory;
}

// Also with a configuration that is refused: taking enforcement back must not
// depend on it. But only of the pins that it names.
int Release(const std::string& file) {
  absl::StatusOr<std::string> bpffs = PinFolderOf(file);
  if (!bpffs.ok()) {
    LogError("nothing was released, because it is not known where the pins are: %s",
             std::string(bpffs.status().message()));
    return kConfigRefused;
  }
  const bool pinned = AnythingPinned(*bpffs);
  std::error_code error;
  // Opening the pins would make a folder that is missing.
  if (pinned || std::filesystem::exists(*bpffs, error)) {
    sensor::Options options;
    options.bpffs = *bpffs;
    if (absl::Status status = sensor::Sensor::TakeDown(options); !status.ok()) {
      LogError("nothing was released: %s", std::string(status.message()));
      return kCouldNotRun;
    }
  }
  if (pinned) {
    LogInfo("released: no connection is judged any more, and nothing is pinned under %s", *bpffs);
  } else {
    LogInfo("nothing was pinned under %s", *bpffs);
  }
  return kStopped;
}

// Turns signals into calls, on a thread of its own: every other one blocks them.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&set_, signal);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    // A peer that leaves is an error of write(2).
    signal(SIGPIPE, SIG_IGN);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() {
    if (!thread_.joinable()) return;
    pthread_kill(thread_.native_handle(), SIGUSR2);
    thread_.join();
  }

  // `agent` outlives this.
  void PassTo(Agent* agent) {
    thread_ = std::thread([this, agent] {
      int signal = 0;
      while (sigwait(&set_, &signal) == 0 && signal != SIGUSR2) {
        if (signal == SIGHUP) {
          agent->Reload();
        } else {
          agent->Stop();
        }
      }
    });
  }

 private:
  sigset_t set_ = {};
  std::thread thread_;
};

int RunAgent(const std::string& file) {
  umask(077);
  // Before any thread is made, so that all inherit the mask.
  std::unique_ptr<Agent> agent;
  Signals signals;
  Options options;
  options.config_file = file;
  absl::StatusOr<std::unique_ptr<Agent>> created = Agent::Create(std::move(options));
  if (!created.ok()) {
    LogError("posternd cannot run: %s", std::string(created.status().message()));
    return absl::IsInvalidArgument(created.status()) ? kConfigRefused : kCouldNotRun;
  }
  agent = *std::move(created);
  signals.PassTo(agent.get());
  const absl::Status status = agent->Run();
  if (status.ok()) return kStopped;
  LogError("posternd stopped: %s", std::string(status.message()));
  return kCouldNotRun;
}

int Main(int argc, char** argv) {
  CLI::App app{"Watches this host's outbound SMTP connections: names, stops and records them.",
               "posternd"};
  std::string config = kDefaultConfig;
  std::string check;
  bool release = false;
  app.add_option("--config", config, "Configuration")->capture_default_str()->type_name("FILE");
  CLI::Option* check_option =
      app.add_option("--check-config", check, "Say what is wrong with FILE, by line, and leave")
          ->type_name("FILE");
  CLI::Option* release_option = app.add_flag(
      "--release", release, "Take down what is pinned, enforcement included, and leave");
  release_option->excludes(check_option);
  app.set_version_flag("--version", std::string("posternd " POSTERN_VERSION));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kStopped : kCouldNotRun;
  }
  if (check_option->count() > 0) return CheckConfig(check);
  if (release) return Release(config);
  return RunAgent(config);
}

}  // namespace
}  // namespace postern::agent

int main(int argc, char** argv) { return postern::agent::Main(argc, argv); }
