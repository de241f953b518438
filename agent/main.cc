// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/agent.h"
#include "agent/command_line.h"
#include "agent/enrich/host_identity.h"
#include "agent/enrolment/enrol.h"
#include "agent/lock_file.h"
#include "agent/policy/loader.h"
#include "agent/startup_config.h"
#include "common/file_limit.h"
#include "common/log.h"
#include "common/small_file.h"
#include "common/status.h"
#include "common/yaml.h"

namespace postern::agent {
namespace {

// " as uid 1000 (run it as root)"; nothing for root itself. Most of what goes
// wrong for anybody else is that.
std::string AsWhom() {
  if (geteuid() == 0) return "";
  return absl::StrCat(" as uid ", geteuid(), " (run it as root)");
}

int CheckConfig(const std::string& file) {
  const policy::LoadedConfig loaded = policy::CheckConfigFile(file);
  for (const std::string& line : loaded.Lines()) std::printf("%s\n", line.c_str());
  if (!loaded.ok()) return kRefused;
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
    return kRefused;
  }
  const bool pinned = AnythingPinned(*bpffs);
  std::error_code error;
  // Opening the pins would make a folder that is missing.
  if (pinned || std::filesystem::exists(*bpffs, error)) {
    sensor::Options options;
    options.bpffs = *bpffs;
    if (absl::Status status = sensor::Sensor::TakeDown(options); !status.ok()) {
      LogError("nothing was released%s: %s", AsWhom(), std::string(status.message()));
      return kCouldNotRun;
    }
  }
  if (pinned) {
    LogInfo("released: nothing pinned under %s judges any more", *bpffs);
  } else {
    LogInfo("nothing was pinned under %s", *bpffs);
  }
  return kStopped;
}

// The host that it has enrolled as: what it calls itself.
absl::StatusOr<std::string> EnrolAs(const policy::Config& config, const enrolment::Token& token) {
  RETURN_IF_ERROR(PrepareStateFolder(config.state_dir));
  ASSIGN_OR_RETURN(const enrich::HostIdentity identity,
                   enrich::IdentifyHost(config.state_dir, config.host));
  RETURN_IF_ERROR(enrolment::Enrol(token, identity.host, config.state_dir));
  return identity.host;
}

// Beside a running agent too, which takes the new certificate up by itself.
int Enrol(const std::string& file, const enrolment::Token& token) {
  umask(077);
  signal(SIGPIPE, SIG_IGN);
  policy::Config config;
  // Whatever else may be wrong with it, as with the usual one that is not there yet. One
  // that was named and is not there would be a token spent for the wrong folder.
  const auto text = ReadSmallFile(file, YamlReader::kMaxFileBytes, Links::kFollow);
  if (!text.ok() && !(absl::IsNotFound(text.status()) && file == CommandLine().config_file)) {
    LogError("not enrolled: %s %s", file, std::string(text.status().message()));
    return kRefused;
  }
  if (text.ok()) {
    const std::string state_dir = TopLevelValue(*text, "state_dir");
    if (absl::StartsWith(state_dir, "/")) config.state_dir = state_dir;
    config.host = TopLevelValue(*text, "host");
  }
  const absl::StatusOr<std::string> host = EnrolAs(config, token);
  if (!host.ok()) {
    LogError("not enrolled%s: %s", AsWhom(), std::string(host.status().message()));
    return absl::IsInvalidArgument(host.status()) ? kRefused : kCouldNotRun;
  }
  std::printf("enrolled as host %s; now write in %s:\ncollector: {address: \"%s\"}\n",
              host->c_str(), file.c_str(), token.address.c_str());
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
    // Ignored, as who started us may have left it, it would give away the pid of a
    // canary before that is reaped.
    signal(SIGCHLD, SIG_DFL);
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
  if (const absl::Status raised = RaiseFileLimit(); !raised.ok()) {
    LogWarning("%s", std::string(raised.message()));
  }
  // Before any thread is made, so that all inherit the mask.
  std::unique_ptr<Agent> agent;
  Signals signals;
  Options options;
  options.config_file = file;
  absl::StatusOr<std::unique_ptr<Agent>> created = Agent::Create(std::move(options));
  if (!created.ok()) {
    LogError("posternd cannot run%s: %s", AsWhom(), std::string(created.status().message()));
    return absl::IsInvalidArgument(created.status()) ? kRefused : kCouldNotRun;
  }
  agent = *std::move(created);
  signals.PassTo(agent.get());
  const absl::Status status = agent->Run();
  if (status.ok()) return kStopped;
  LogError("posternd stopped: %s", std::string(status.message()));
  return kCouldNotRun;
}

int Main(int argc, char** argv) {
  const auto asked = ReadCommandLine(argc, argv, std::cout, std::cerr);
  if (const ExitCode* code = std::get_if<ExitCode>(&asked)) return *code;
  const CommandLine& line = std::get<CommandLine>(asked);
  switch (line.task) {
    case CommandLine::Task::kCheckConfig:
      return CheckConfig(line.config_file);
    case CommandLine::Task::kRelease:
      return Release(line.config_file);
    case CommandLine::Task::kEnrol:
      return Enrol(line.config_file, line.enrol);
    case CommandLine::Task::kRun:
      return RunAgent(line.config_file);
  }
  return kCouldNotRun;
}

}  // namespace
}  // namespace postern::agent

int main(int argc, char** argv) { return postern::agent::Main(argc, argv); }
