// SPDX-License-Identifier: Apache-2.0
// The one place that builds the agent, runs it and takes it apart.
//
// Threads: the one that calls Run() owns the sensor, the pump, the policy and
// the event log; the uplink has one of its own, and so have the renewal of the host's
// certificate and the look at what else decides about mail on this host; gRPC calls the control
// services from its threads, and the metrics' server asks from its own: both hand everything
// over to the owner.
//
// Teardown, in this order: the control sockets and the metrics (nobody asks any more), a canary
// that is under way, what is left in the rings goes to the spool, the uplink, the sensor (whose
// pins stay or are taken down, as `on_stop` says), the spool, the locks.
#ifndef POSTERN_AGENT_AGENT_H_
#define POSTERN_AGENT_AGENT_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/canary/prover.h"
#include "agent/coexist/neighbours.h"
#include "agent/collector_link.h"
#include "agent/command_queue.h"
#include "agent/commands.h"
#include "agent/control/control_server.h"
#include "agent/control/event_feed.h"
#include "agent/enrich/enricher.h"
#include "agent/eventlog/event_log.h"
#include "agent/health.h"
#include "agent/hook_watch.h"
#include "agent/metrics_endpoint.h"
#include "agent/policy/host.h"
#include "agent/policy/local_addresses.h"
#include "agent/policy_in_force.h"
#include "agent/policy_workshop.h"
#include "agent/pump/pump.h"
#include "agent/sensor/sensor.h"
#include "agent/service_manager.h"
#include "agent/spool/spool.h"
#include "agent/startup_config.h"
#include "common/metrics/family.h"
#include "common/mutex.h"
#include "common/unique_fd.h"
#include "postern/v1/control.pb.h"
#include "postern/v1/ingest.pb.h"

namespace postern::agent {

struct Options {
  std::string config_file;
  // Of the sockets' readers.
  std::string group = "postern";
  // The edges of the world.
  std::function<absl::StatusOr<std::unique_ptr<sensor::Sensor>>(const sensor::Options&)>
      make_sensor = sensor::Sensor::Create;
  std::function<absl::Status(const sensor::Options&)> take_down = sensor::Sensor::TakeDown;
  coexist::Neighbours::LookFunction look_around = coexist::LookAround;
  canary::MakeChild make_canary = canary::StartChild;
};

class Agent {
 public:
  // Judges and serves when it returns. InvalidArgument: the configuration is
  // refused. On error nothing is attached that was not before.
  static absl::StatusOr<std::unique_ptr<Agent>> Create(Options options);
  ~Agent();

  // Until Stop(), on the thread that called Create(). Once.
  absl::Status Run();

  // From any thread. Run() returns soon; the configuration is read again soon.
  void Stop();
  void Reload();

 private:
  explicit Agent(Options options);

  void WakeOwner() ABSL_LOCKS_EXCLUDED(wake_mutex_);

  // The steps of Create.
  absl::Status Prepare(const StartupConfig& start);
  absl::Status Judge(const StartupConfig& start);
  absl::Status Serve();

  // The steps of a turn.
  absl::Duration UntilNextTurn();
  bool TurnPump();
  void EverySecond();
  void FollowLocalAddresses();
  void KeepSockets();
  void KeepMetrics();
  void KeepCollector();
  void LookAround();
  void LookForSockets();
  void ProveItself();
  v1::ReloadResponse ReadConfigAgain();
  absl::Status TakeConfig(const policy::LoadedConfig& loaded);
  void Finish();

  void Committed(const v1::Event& event);
  void TellOfEventLog(const absl::Status& status);
  // An event of kind POLICY, and the collector hears of it.
  void AnnouncePolicy(const std::string& what);
  void AddPolicyEvent(const std::string& message);
  v1::Event PolicyEvent(const std::string& message) const;
  void PublishState();
  std::vector<std::string> Problems() const;
  v1::StatusResponse Report();
  v1::StatusResponse StatusAsKnown() const;
  std::vector<metrics::Family> Metrics();

  const Options options_;
  const std::unique_ptr<policy::Host> host_;
  absl::Time started_;
  ServiceManager service_manager_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> reload_ = false;

  // What others may wake: the sensor, as long as there is one.
  Mutex wake_mutex_;
  sensor::Sensor* to_wake_ ABSL_GUARDED_BY(wake_mutex_) = nullptr;

  // In the order in which they are made; destroyed from the last to the first.
  policy::Config started_with_;
  UniqueFd state_lock_;
  UniqueFd run_lock_;
  enrich::HostIdentity identity_;
  std::unique_ptr<spool::Spool> spool_;
  std::unique_ptr<eventlog::EventLog> event_log_;
  std::string event_log_target_;
  std::unique_ptr<policy::RuleNames> rule_names_;
  sensor::Options sensor_options_;
  std::unique_ptr<sensor::Sensor> sensor_;
  std::unique_ptr<policy::LocalAddresses> local_addresses_;
  std::unique_ptr<PolicyInForce> policy_;
  std::unique_ptr<enrich::Enricher> enricher_;
  control::EventFeed feed_;
  std::unique_ptr<pump::Pump> pump_;
  std::unique_ptr<HookWatch> hook_watch_;
  std::unique_ptr<coexist::Neighbours> neighbours_;
  std::unique_ptr<canary::Prover> prover_;
  std::unique_ptr<CollectorLink> collector_;
  std::unique_ptr<CommandQueue> queue_;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<PolicyWorkshop> workshop_;
  std::unique_ptr<control::ControlServer> control_;
  std::unique_ptr<MetricsEndpoint> metrics_;

  Health health_;
  bool stopping_ = false;
  bool committed_ = false;  // something, in this turn
  // All of SteadyNow().
  absl::Time committed_at_;  // something, last
  absl::Time next_second_;
  absl::Time next_look_;  // for sockets
  absl::Time retry_spool_at_;
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_AGENT_H_
