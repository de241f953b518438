// SPDX-License-Identifier: Apache-2.0
// postern-collector: exit codes 0 stopped as asked, 1 could not run, 2
// configuration refused.
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <systemd/sd-daemon.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/file_limit.h"
#include "common/log.h"
#include "server/collector.h"
#include "server/config.h"
#include "server/store/backup.h"
#include "server/trust/trust_check.h"

namespace {

constexpr int kStopped = 0;
constexpr int kCouldNotRun = 1;
constexpr int kRefused = 2;

// Lines of gRPC and protobuf are for their developers, and a peer can cause any
// number of them; what matters we say ourselves. GRPC_VERBOSITY brings them back.
void QuietLibraries() {
  if (getenv("GRPC_VERBOSITY") != nullptr) return;
  gpr_set_log_function([](gpr_log_func_args*) {});
  google::protobuf::SetLogHandler(nullptr);
}

// Blocked in every thread made from here on, and taken by WaitForStop().
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

void WaitForStop(const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0 || signal == SIGHUP) {
    postern::LogInfo("the configuration is read at start only: restart to read it again");
  }
}

// ", TLS on ADDRESS, …"; nothing where there is none.
std::string Listening(const postern::server::CollectorConfig& config) {
  if (config.trust.listen.empty()) return "";
  return absl::StrCat(", TLS on ", absl::StrJoin(config.trust.listen, ", "));
}

// Of an option: what is wrong with it. An empty name (of an unset variable) would count
// as the option not being there.
std::string CheckNamed(const std::string& name) {
  return name.empty() ? "names no file" : std::string();
}

int Run(const postern::server::CollectorConfig& config) {
  const sigset_t signals = BlockSignals();
  QuietLibraries();
  if (const absl::Status raised = postern::RaiseFileLimit(); !raised.ok()) {
    postern::LogWarning("%s", std::string(raised.message()));
  }
  absl::StatusOr<std::unique_ptr<postern::server::Collector>> collector =
      postern::server::Collector::Start(config);
  if (!collector.ok()) {
    postern::Log(postern::LogLevel::kError, collector.status().message());
    return kCouldNotRun;
  }
  postern::LogInfo("postern-collector %s: sockets in %s, events in %s%s", POSTERN_VERSION,
                   config.run_dir, config.StoreName(), Listening(config));
  sd_notify(0, "READY=1");
  WaitForStop(signals);
  sd_notify(0, "STOPPING=1");
  postern::LogInfo("stopping");
  collector->reset();
  return kStopped;
}

// Whether the configuration of `file` can be run by, as far as can be seen without.
int CheckFiles(const std::string& file, const postern::server::CollectorConfig& config) {
  const postern::server::TrustCheck trust = postern::server::CheckTrust(config.trust);
  if (!trust.fault.ok()) {
    fprintf(stderr, "%s:%d: %s\n", file.c_str(), config.trust.files_line,
            std::string(trust.fault.message()).c_str());
    return kRefused;
  }
  if (!trust.note.empty()) {
    fprintf(stderr, "%s:%d: %s\n", file.c_str(), config.trust.files_line, trust.note.c_str());
  }
  printf("%s: accepted, sockets in %s, events in %s%s\n", file.c_str(), config.run_dir.c_str(),
         config.StoreName().c_str(), Listening(config).c_str());
  return kStopped;
}

int BackUp(const postern::server::CollectorConfig& config, const std::string& file) {
  if (config.clickhouse) {
    postern::LogError(
        "--backup copies a store of files; %s is backed up by the server's own means "
        "(docs/operations.md)",
        config.StoreName());
    return kCouldNotRun;
  }
  const absl::Status status =
      postern::server::BackUp(config.sqlite_path, file, absl::GetCurrentTimeNanos());
  if (status.ok()) {
    printf("%s: backed up to %s and %s.d\n", config.sqlite_path.c_str(), file.c_str(),
           file.c_str());
    return kStopped;
  }
  postern::Log(postern::LogLevel::kError, status.message());
  return kCouldNotRun;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Collects what Postern's agents saw, keeps it, and answers questions about it."};
  app.footer("Example:\n  postern-collector --config /etc/postern/collector.yaml");
  std::string file;
  std::string file_to_check;
  auto* run = app.add_option("--config", file, "Run with this configuration")
                  ->type_name("FILE")
                  ->check(&CheckNamed);
  app.add_option("--check-config", file_to_check,
                 "Check this configuration and leave; as root, with all the files that it names "
                 "for TLS")
      ->type_name("FILE")
      ->check(&CheckNamed)
      ->excludes(run);
  std::string backup;
  app.add_option("--backup", backup,
                 "Copy the store of the configuration to FILE and FILE.d, and leave; the "
                 "collector may be running. Of a store in ClickHouse: its server's to do")
      ->type_name("FILE")
      ->check(&CheckNamed)
      ->needs(run);
  app.set_version_flag("--version", "postern-collector " POSTERN_VERSION);
  app.require_option(1, 2);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kStopped : kRefused;
  }

  const bool only_check = !file_to_check.empty();
  std::vector<postern::YamlFault> faults;
  const postern::server::CollectorConfig config =
      postern::server::ReadCollectorConfig(only_check ? file_to_check : file, faults);
  for (const postern::YamlFault& fault : faults) fprintf(stderr, "%s\n", fault.ToString().c_str());
  if (!faults.empty()) return kRefused;
  if (!backup.empty()) return BackUp(config, backup);
  return only_check ? CheckFiles(file_to_check, config) : Run(config);
}
