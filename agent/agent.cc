// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/control/socket_folder.h"
#include "agent/lock_file.h"
#include "agent/metrics_report.h"
#include "agent/policy/last_good.h"
#include "agent/policy_show.h"
#include "agent/restart_needed.h"
#include "agent/status_report.h"
#include "bpf/abi/event.h"
#include "common/log.h"
#include "common/status.h"
#include "common/steady_clock.h"

namespace postern::agent {
namespace {

// While events come, those that were not denied wait for the next turn: to be woken by
// each would cost more than all the rest. An idle host's agent sleeps until the first.
constexpr absl::Duration kTurnEvery = absl::Milliseconds(50);
constexpr absl::Duration kIdleAfter = absl::Seconds(1);
// For sockets that no hook sees being made: 0.4 us for each open file of the host.
constexpr absl::Duration kLookForSocketsEvery = absl::Minutes(1);
constexpr absl::Duration kRetrySpool = absl::Seconds(1);
// At stop, for what is in the spool to reach the collector.
constexpr absl::Duration kFarewell = absl::Milliseconds(500);
// Of who reads metrics, and is told that there are none where the disk keeps the owner.
constexpr absl::Duration kMetricsPatience = absl::Seconds(2);

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

void AddCounters(const pump::Counters& counters, v1::AgentState& state) {
  const auto attempts = [&](postern_verdict verdict) {
    return counters[POSTERN_COUNTER_VERDICT + static_cast<size_t>(verdict)];
  };
  state.set_allowed(attempts(POSTERN_VERDICT_ALLOWED));
  state.set_denied(attempts(POSTERN_VERDICT_DENIED));
  state.set_would_deny(attempts(POSTERN_VERDICT_WOULD_DENY));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> Agent::Create(Options options) {
  std::unique_ptr<Agent> agent(new Agent(std::move(options)));
  ASSIGN_OR_RETURN(const StartupConfig start,
                   ChooseConfig(agent->options_.config_file, *agent->host_));
  // All that can fail without touching the kernel comes first.
  RETURN_IF_ERROR(agent->Prepare(start));
  RETURN_IF_ERROR(agent->Judge(start));
  RETURN_IF_ERROR(agent->Serve());
  return agent;
}

Agent::Agent(Options options)
    : options_(std::move(options)),
      host_(policy::RealHost()),
      started_(absl::Now()),
      next_second_(SteadyNow()),
      next_look_(next_second_),
      retry_spool_at_(absl::InfinitePast()) {}

Agent::~Agent() {
  if (queue_ != nullptr) queue_->Close();
  control_.reset();
  metrics_.reset();
  collector_.reset();
}

absl::Status Agent::Prepare(const StartupConfig& start) {
  started_with_ = *start.loaded.config;
  const policy::Config& config = started_with_;
  health_.SetConfigProblems(start.refused);
  RETURN_IF_ERROR(PrepareStateFolder(config.state_dir));
  ASSIGN_OR_RETURN(state_lock_, LockFolder("state_dir", config.state_dir));
  RETURN_IF_ERROR(control::PrepareRunFolder(config.run_dir));
  ASSIGN_OR_RETURN(run_lock_, LockFolder("run_dir", config.run_dir));
  ASSIGN_OR_RETURN(identity_, enrich::IdentifyHost(config.state_dir, config.host));
  spool::Options spool_options;
  spool_options.folder = config.state_dir;
  spool_options.max_bytes = config.spool_max_bytes;
  spool_options.host = identity_.host;
  spool_options.agent = identity_.agent;
  spool_options.boot = identity_.boot;
  spool_options.local_only = config.collector_addresses.empty();
  ASSIGN_OR_RETURN(spool_, spool::Spool::Open(std::move(spool_options)));
  collector_ = std::make_unique<CollectorLink>(identity_, *spool_, config.state_dir);
  event_log_target_ = config.events;
  // A folder of logs that is missing is no reason to let mail out unjudged.
  event_log_ = eventlog::EventLog::Unopened(event_log_target_);
  TellOfEventLog(event_log_->Reopen());
  rule_names_ = std::make_unique<policy::RuleNames>(config.state_dir, identity_.boot);
  ASSIGN_OR_RETURN(local_addresses_, policy::LocalAddresses::Create());
  return absl::OkStatus();
}

absl::Status Agent::Judge(const StartupConfig& start) {
  const policy::Config& config = started_with_;
  sensor_options_.bpffs = config.bpffs;
  sensor_options_.cgroup = config.cgroup;
  ASSIGN_OR_RETURN(sensor_, options_.make_sensor(sensor_options_));
  {
    MutexLock lock(&wake_mutex_);
    to_wake_ = sensor_.get();
  }
  policy_ = std::make_unique<PolicyInForce>(*sensor_, *host_, *rule_names_, config.state_dir);
  enricher_ = std::make_unique<enrich::Enricher>(enrich::Enricher::ForThisHost(
      identity_,
      [this](uint32_t generation, uint16_t rule) { return rule_names_->Name(generation, rule); },
      config.cgroup));
  pump_ = std::make_unique<pump::Pump>(*sensor_, *spool_, *enricher_,
                                       [this](const v1::Event& event) { Committed(event); });
  RETURN_IF_ERROR(pump_->Begin(sensor::ConnectsAreJudged(sensor_->Hooks())));

  // Sockets before hooks: a run_dir that cannot be used leaves nothing attached.
  // Calls wait until Run() takes them up.
  queue_ = std::make_unique<CommandQueue>([this] { WakeOwner(); });
  commands_ = std::make_unique<Commands>(queue_.get(),
                                         Subjects{.policy = *policy_,
                                                  .local_addresses = *local_addresses_,
                                                  .report_status = [this] { return Report(); },
                                                  .mode_switched =
                                                      [this] {
                                                        AnnouncePolicy("mode switched by hand: ");
                                                        return pump_->added();
                                                      },
                                                  .recorded = [this] { return pump_->recorded(); },
                                                  .reload = [this] { return ReadConfigAgain(); }});
  workshop_ = std::make_unique<PolicyWorkshop>(PolicyWorkshop::Parts{.queue = *queue_,
                                                                     .policy = *policy_,
                                                                     .sensor = *sensor_,
                                                                     .spool = *spool_,
                                                                     .host = *host_,
                                                                     .host_name = identity_.host});
  ASSIGN_OR_RETURN(control_, control::ControlServer::Create(config.run_dir, options_.group,
                                                            {.status = commands_.get(),
                                                             .tester = commands_.get(),
                                                             .mode = commands_.get(),
                                                             .feed = &feed_,
                                                             .policy = commands_.get(),
                                                             .workshop = workshop_.get()}));
  metrics_ = std::make_unique<MetricsEndpoint>([this] {
    return queue_->Run<std::vector<metrics::Family>>([this] { return Metrics(); },
                                                     kMetricsPatience);
  });
  RETURN_IF_ERROR(sensor_->WakeBy(local_addresses_->fd()));
  // Before a policy that says `local`, so that it never means less than all.
  RETURN_IF_ERROR(sensor_->SetLocalAddresses(local_addresses_->addresses()));
  RETURN_IF_ERROR(policy_->Apply(config));
  RETURN_IF_ERROR(sensor_->AttachConnect());
  hook_watch_ = std::make_unique<HookWatch>(
      *sensor_, [this](const std::string& message) { AddPolicyEvent(message); });
  hook_watch_->Look();
  prover_ = std::make_unique<canary::Prover>(
      *sensor_, options_.make_canary, [this](v1::Event event) { pump_->Add(std::move(event)); });
  if (start.refused.empty()) {
    absl::Status kept = policy::LastGood(started_with_.state_dir).Keep(start.loaded.text);
    if (!kept.ok()) LogWarning("the accepted configuration is not kept: %s", MessageOf(kept));
  }
  return absl::OkStatus();
}

absl::Status Agent::Serve() {
  if (!control::GroupId(options_.group).has_value()) {
    health_.Note(Topic::kReaders,
                 absl::StrCat("there is no group ", options_.group, ": ", started_with_.run_dir,
                              "/read.sock is root's alone; make the group (addgroup --system ",
                              options_.group, ") and restart posternd"));
  }
  // What the time without an agent left is in the spool before a collector hears
  // from this one: else it would take that time for whole.
  EverySecond();
  while (TurnPump()) {
  }
  RETURN_IF_ERROR(collector_->Start(policy_->config()));
  neighbours_ = std::make_unique<coexist::Neighbours>(options_.look_around);
  LookAround();
  AnnouncePolicy(absl::StrCat("agent started: version " POSTERN_VERSION ", "));
  return absl::OkStatus();
}

absl::Status Agent::Run() {
  service_manager_.Ready(
      absl::StrCat(ModeName(policy_->mode()), ", generation ", policy_->generation()));
  bool more = false;
  while (!stop_) {
    sensor_->Wait(more ? absl::ZeroDuration() : UntilNextTurn());
    queue_->RunAll();
    if (reload_.exchange(false)) ReadConfigAgain();
    FollowLocalAddresses();
    if (SteadyNow() >= next_second_) EverySecond();
    more = TurnPump();
    ProveItself();
  }
  Finish();
  return absl::OkStatus();
}

absl::Duration Agent::UntilNextTurn() {
  const absl::Time now = SteadyNow();
  const bool sleeps =
      now - committed_at_ > kIdleAfter && !prover_->busy() && sensor_->WakeOnNextRecord();
  return std::max(absl::ZeroDuration(),
                  std::min(next_second_ - now, sleeps ? absl::InfiniteDuration() : kTurnEvery));
}

void Agent::Stop() {
  stop_ = true;
  WakeOwner();
}

void Agent::Reload() {
  reload_ = true;
  WakeOwner();
}

void Agent::WakeOwner() {
  MutexLock lock(&wake_mutex_);
  if (to_wake_ != nullptr) to_wake_->Wake();
}

bool Agent::TurnPump() {
  if (SteadyNow() < retry_spool_at_) return false;
  committed_ = false;
  if (const std::optional<uplink::ClockCheck> check = collector_->LastClockCheck()) {
    if (check->Agrees()) {
      pump_->ClockAgreed(check->boot_ns);
    } else {
      pump_->ClockDiffered(check->boot_ns, absl::ToInt64Nanoseconds(check->ahead));
    }
  }
  const absl::StatusOr<bool> more = pump_->Turn();
  if (committed_) {
    committed_at_ = SteadyNow();
    collector_->Notify();
  }
  if (!more.ok()) {
    retry_spool_at_ = SteadyNow() + kRetrySpool;
    health_.Set(Concern::kSpool,
                absl::StrCat("events wait in memory and in the kernel's rings: ",
                             MessageOf(more.status()), "; make room or mend the disk"));
    return false;
  }
  health_.Set(Concern::kSpool, "");
  return *more;
}

void Agent::Committed(const v1::Event& event) {
  committed_ = true;
  feed_.Publish(event);
  if (prover_ != nullptr) prover_->Committed(event);
  // Status shows them; in a log that people read they would only be in the way.
  if (!canary::IsProof(event)) TellOfEventLog(event_log_->Write(event));
}

void Agent::TellOfEventLog(const absl::Status& status) {
  health_.Set(Concern::kEventLog,
              status.ok() ? ""
                          : absl::StrCat(MessageOf(status),
                                         ": mend that or change `events:`; this log lacks events "
                                         "until then, and is tried again with each of them"));
}

void Agent::EverySecond() {
  next_second_ = SteadyNow() + absl::Seconds(1);
  hook_watch_->Look();
  health_.Set(Concern::kCounters,
              MessageOf(pump_->CountUp(sensor::ConnectsAreJudged(hook_watch_->hooks()))));
  health_.Set(Concern::kLoss, pump_->recent_loss());
  const uint64_t unjudged = pump_->counters()[POSTERN_COUNTER_NO_POLICY];
  health_.Set(Concern::kUnjudged, unjudged == 0
                                      ? ""
                                      : absl::StrCat(unjudged,
                                                     " connections passed while no policy was in "
                                                     "place: restart posternd"));
  KeepSockets();
  KeepMetrics();
  KeepCollector();
  LookForSockets();
  PublishState();
  service_manager_.Alive();
}

void Agent::KeepSockets() {
  // At the end there are none.
  if (control_ == nullptr) return;
  const absl::Status kept = control_->KeepSockets();
  health_.Set(Concern::kSockets,
              kept.ok() ? "" : absl::StrCat("`postern` cannot ask this agent: ", MessageOf(kept)));
}

void Agent::KeepMetrics() {
  // At the end there are none.
  if (metrics_ == nullptr) return;
  metrics_->Keep(policy_->config().metrics);
  health_.Set(Concern::kMetrics, metrics_->problem());
}

void Agent::KeepCollector() {
  // At the end no connection is begun anew.
  if (control_ != nullptr) collector_->FollowCertificate();
  health_.Set(Concern::kClock, collector_->clock_problem());
  health_.Set(Concern::kCertificate, collector_->certificate_problem());
}

void Agent::LookAround() {
  const policy::Config& config = policy_->config();
  std::error_code error;
  neighbours_->Look(
      {.ports = coexist::Ports(config.ports.begin(), config.ports.end()),
       .own_paths = {std::filesystem::read_symlink("/proc/self/exe", error), options_.config_file,
                     started_with_.bpffs, started_with_.state_dir, started_with_.run_dir},
       .root = ""});
}

void Agent::ProveItself() {
  const policy::Config& config = policy_->config();
  prover_->Turn({.port = config.ports.front(),
                 .deny_errno = config.deny_errno,
                 .generation = policy_->generation()});
  health_.Set(Concern::kCanary, prover_->problem());
}

void Agent::LookForSockets() {
  if (SteadyNow() < next_look_) return;
  next_look_ = SteadyNow() + kLookForSocketsEvery;
  const absl::StatusOr<std::vector<std::string>> not_reset = sensor_->LookForSockets();
  health_.Set(Concern::kHeldSockets,
              not_reset.ok() ? ""
                             : absl::StrCat("sockets that pass by connect() may go unrecorded: ",
                                            MessageOf(not_reset.status())));
  if (!not_reset.ok()) return;
  for (const std::string& line : *not_reset) {
    LogWarning("%s", line);
    AddPolicyEvent(line);
  }
}

void Agent::FollowLocalAddresses() {
  absl::StatusOr<bool> changed = local_addresses_->Refresh();
  absl::Status status = changed.status();
  if (changed.ok() && *changed) status = sensor_->SetLocalAddresses(local_addresses_->addresses());
  health_.Set(Concern::kAddresses,
              status.ok()
                  ? ""
                  : absl::StrCat("this host's addresses may be out of date: ", MessageOf(status)));
}

v1::ReloadResponse Agent::ReadConfigAgain() {
  service_manager_.Reloading();
  const uint32_t before = policy_->generation();
  policy::LoadedConfig loaded = policy::LoadConfigFile(options_.config_file, *host_);
  LogFindings(loaded);
  const absl::Status status =
      loaded.ok() ? TakeConfig(loaded)
                  : absl::InvalidArgumentError(absl::StrCat(options_.config_file,
                                                            " is refused; posternd --check-config ",
                                                            options_.config_file, " shows why"));
  std::vector<std::string> problems;
  if (!status.ok()) {
    problems.push_back(absl::StrCat("reload changed nothing: ", MessageOf(status)));
    LogError("%s", problems.back());
    for (const policy::Finding& finding : loaded.findings.all()) {
      if (finding.severity == policy::Severity::kFault) {
        problems.push_back(policy::ToString(loaded.file, finding));
      }
    }
  }
  health_.SetConfigProblems(std::move(problems));
  PublishState();
  service_manager_.Ready(
      absl::StrCat(ModeName(policy_->mode()), ", generation ", policy_->generation()));
  v1::ReloadResponse response;
  response.set_taken(policy_->generation() != before);
  response.set_generation(policy_->generation());
  response.set_mode(ModeName(policy_->mode()));
  response.set_rules(static_cast<uint32_t>(policy_->config().rules.size()));
  response.set_config_file(options_.config_file);
  for (std::string& line : loaded.Lines()) response.add_findings(std::move(line));
  if (loaded.ok() && !status.ok()) response.set_problem(MessageOf(status));
  if (status.ok()) response.set_restart(RestartNeeded(started_with_, policy_->config()));
  return response;
}

absl::Status Agent::TakeConfig(const policy::LoadedConfig& loaded) {
  const policy::Config& config = *loaded.config;
  // What may fail comes before the policy: either all is taken or nothing.
  std::unique_ptr<eventlog::EventLog> event_log;
  if (config.events != event_log_target_) {
    ASSIGN_OR_RETURN(event_log, eventlog::EventLog::Create(config.events));
  }
  RETURN_IF_ERROR(policy_->Apply(config));
  if (event_log != nullptr) {
    event_log_ = std::move(event_log);
    event_log_target_ = config.events;
  } else {
    TellOfEventLog(event_log_->Reopen());
  }
  health_.Note(Topic::kRestart, RestartNeeded(started_with_, config));
  RETURN_IF_ERROR(collector_->Start(config));
  AnnouncePolicy("configuration read again: ");
  LookAround();
  absl::Status kept = policy::LastGood(started_with_.state_dir).Keep(loaded.text);
  if (!kept.ok()) LogWarning("the accepted configuration is not kept: %s", MessageOf(kept));
  return absl::OkStatus();
}

void Agent::AnnouncePolicy(const std::string& what) {
  const size_t rules = policy_->config().rules.size();
  const std::string message =
      absl::StrCat(what, "mode ", ModeName(policy_->mode()), ", generation ", policy_->generation(),
                   ", ", rules, rules == 1 ? " rule" : " rules");
  LogInfo("%s", message);
  v1::Event event = PolicyEvent(message);
  event.set_agent_version(POSTERN_VERSION);
  // Also where the kernel cannot be asked it is known that there is another policy.
  if (const auto shown = policy_->Show(); shown.ok()) {
    for (std::string& line : PolicyLines(*shown)) event.add_policy(std::move(line));
  }
  pump_->Add(std::move(event));
  PublishState();
}

v1::Event Agent::PolicyEvent(const std::string& message) const {
  v1::Event event;
  event.set_kind(v1::Event::POLICY);
  event.set_generation(policy_->generation());
  event.set_mode(ModeName(policy_->mode()));
  event.set_message(message);
  return event;
}

void Agent::AddPolicyEvent(const std::string& message) { pump_->Add(PolicyEvent(message)); }

void Agent::PublishState() {
  v1::AgentState state;
  state.set_mode(ModeName(policy_->mode()));
  state.set_generation(policy_->generation());
  state.set_events_lost(pump::LostIn(pump_->counters()) + pump_->unreadable());
  state.set_healthy(Problems().empty());
  state.set_oldest_pending_ns(pump_->behind_since_ns());
  state.set_not_watched_since_ns(pump_->not_watched_since_ns());
  state.set_stopping(stopping_);
  AddCounters(pump_->counters(), state);
  if (const auto stats = spool_->GetStats(); stats.ok()) {
    state.set_spool_events(stats->events);
    state.set_spool_bytes(stats->bytes);
    state.set_spool_evicted(stats->evicted);
  }
  collector_->Tell(std::move(state));
}

std::vector<std::string> Agent::Problems() const {
  std::vector<std::string> problems = health_.Problems();
  for (const auto& more : {pump_->damage(), hook_watch_->Problems()}) {
    problems.insert(problems.end(), more.begin(), more.end());
  }
  return problems;
}

v1::StatusResponse Agent::Report() {
  hook_watch_->Look();
  neighbours_->Refresh();
  return StatusAsKnown();
}

v1::StatusResponse Agent::StatusAsKnown() const {
  std::vector<std::string> notes = health_.Notes();
  for (std::string& note : neighbours_->Notes()) notes.push_back(std::move(note));
  return ReportStatus({.identity = identity_,
                       .started = started_,
                       .policy = *policy_,
                       .sensor = *sensor_,
                       .hooks = hook_watch_->hooks(),
                       .proven = prover_->proven(),
                       .unreadable = pump_->unreadable(),
                       .spool = *spool_,
                       .uplink = collector_->uplink(),
                       .problems = Problems(),
                       .notes = std::move(notes)});
}

std::vector<metrics::Family> Agent::Metrics() {
  const v1::StatusResponse status = StatusAsKnown();
  MetricsSources sources = {.status = status,
                            .counters = pump_->counters(),
                            .unreadable = pump_->unreadable(),
                            .policy = std::nullopt,
                            .epoch = std::nullopt,
                            .certificate_expiry = collector_->CertificateExpiry()};
  if (auto held = policy_->Show(); held.ok()) sources.policy = *std::move(held);
  if (const auto epochs = spool_->PendingEpochs(); epochs.ok()) sources.epoch = epochs->back();
  return ReportMetrics(sources);
}

void Agent::Finish() {
  service_manager_.Stopping();
  queue_->Close();
  control_.reset();
  metrics_.reset();
  prover_.reset();
  const bool release = policy_->config().on_stop == policy::OnStop::kRelease;
  const std::string message =
      release ? "agent stopped: nothing is judged or recorded until it starts again"
              : "agent stopped: the policy stays in force";
  LogInfo("%s", message);
  AddPolicyEvent(message);
  EverySecond();
  while (TurnPump()) {
  }
  stopping_ = true;
  PublishState();
  collector_->Leave(kFarewell);
  collector_.reset();
  neighbours_.reset();
  workshop_.reset();
  commands_.reset();
  hook_watch_.reset();
  pump_.reset();
  policy_.reset();
  {
    MutexLock lock(&wake_mutex_);
    to_wake_ = nullptr;
  }
  sensor_.reset();
  if (!release) return;
  if (absl::Status status = options_.take_down(sensor_options_); !status.ok()) {
    LogError("on_stop: release: %s", MessageOf(status));
  }
}

}  // namespace postern::agent
