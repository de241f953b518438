// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/lock_file.h"
#include "agent/policy/last_good.h"
#include "agent/status_report.h"
#include "common/log.h"
#include "common/status.h"

namespace postern::agent {
namespace {

// Records of the other ring do not wake anybody: they wait for the next look. A
// look at an idle host takes about 90 us: eight a second stay below 0.1 % of a
// core, and half of the first events of a burst are seen within 65 ms.
constexpr absl::Duration kTurnEvery = absl::Milliseconds(50);
constexpr absl::Duration kIdleTurnEvery = absl::Milliseconds(125);
constexpr absl::Duration kIdleAfter = absl::Seconds(1);
constexpr absl::Duration kRetrySpool = absl::Seconds(1);
// At stop, for what is in the spool to reach the collector.
constexpr absl::Duration kFarewell = absl::Milliseconds(500);

// What a running agent cannot change; it says so and goes on with what it has.
void WarnOfWhatNeedsARestart(const policy::Config& old, const policy::Config& now) {
  const auto warn = [&](bool changed, const char* key) {
    if (changed)
      LogWarning("%s: '%s' has changed and takes effect at the next start", now.file, key);
  };
  warn(old.state_dir != now.state_dir, "state_dir");
  warn(old.run_dir != now.run_dir, "run_dir");
  warn(old.bpffs != now.bpffs, "bpffs");
  warn(old.cgroup != now.cgroup, "cgroup");
  warn(old.host != now.host, "host");
  warn(old.spool_max_bytes != now.spool_max_bytes, "spool.max_bytes");
}

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

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
      next_second_(started_),
      retry_spool_at_(absl::InfinitePast()) {}

Agent::~Agent() {
  if (commands_ != nullptr) commands_->Close();
  control_.reset();
  uplink_.reset();
}

absl::Status Agent::Prepare(const StartupConfig& start) {
  const policy::Config& config = *start.loaded.config;
  config_problems_ = start.refused;
  state_dir_ = config.state_dir;
  RETURN_IF_ERROR(PrepareStateFolder(state_dir_));
  ASSIGN_OR_RETURN(lock_, LockStateFolder(state_dir_));
  ASSIGN_OR_RETURN(identity_, enrich::IdentifyHost(state_dir_, config.host));
  spool::Options spool_options;
  spool_options.folder = state_dir_;
  spool_options.max_bytes = config.spool_max_bytes;
  spool_options.host = identity_.host;
  spool_options.agent = identity_.agent;
  spool_options.boot = identity_.boot;
  ASSIGN_OR_RETURN(spool_, spool::Spool::Open(std::move(spool_options)));
  event_log_target_ = config.events;
  ASSIGN_OR_RETURN(event_log_, eventlog::EventLog::Create(event_log_target_));
  rule_names_ = std::make_unique<policy::RuleNames>(state_dir_, identity_.boot);
  ASSIGN_OR_RETURN(local_addresses_, policy::LocalAddresses::Create());
  return absl::OkStatus();
}

absl::Status Agent::Judge(const StartupConfig& start) {
  const policy::Config& config = *start.loaded.config;
  sensor_options_.bpffs = config.bpffs;
  sensor_options_.cgroup = config.cgroup;
  ASSIGN_OR_RETURN(sensor_, options_.make_sensor(sensor_options_));
  {
    MutexLock lock(&wake_mutex_);
    to_wake_ = sensor_.get();
  }
  commands_ = std::make_unique<CommandQueue>([this] { WakeOwner(); });
  policy_ = std::make_unique<PolicyInForce>(*sensor_, *host_, *rule_names_, state_dir_);
  enricher_ = std::make_unique<enrich::Enricher>(enrich::Enricher::ForThisHost(
      identity_,
      [this](uint32_t generation, uint16_t rule) { return rule_names_->Name(generation, rule); },
      config.cgroup));
  pump_ = std::make_unique<pump::Pump>(*sensor_, *spool_, *enricher_,
                                       [this](const v1::Event& event) { Committed(event); });
  RETURN_IF_ERROR(pump_->Begin());

  // Sockets before hooks: a run_dir that cannot be used leaves nothing attached.
  // Calls wait until Run() takes them up.
  ASSIGN_OR_RETURN(control_, control::ControlServer::Create(
                                 config.run_dir, options_.group,
                                 {.status = this, .tester = this, .mode = this, .feed = &feed_}));
  // Before a policy that says `local`, so that it never means less than all.
  RETURN_IF_ERROR(sensor_->SetLocalAddresses(local_addresses_->addresses()));
  RETURN_IF_ERROR(policy_->Apply(config));
  RETURN_IF_ERROR(sensor_->AttachConnect());
  if (start.refused.empty()) {
    absl::Status kept = policy::LastGood(state_dir_).Keep(start.loaded.text);
    if (!kept.ok()) LogWarning("the accepted configuration is not kept: %s", MessageOf(kept));
  }
  return absl::OkStatus();
}

absl::Status Agent::Serve() {
  RETURN_IF_ERROR(StartUplink());
  AnnouncePolicy(absl::StrCat("agent started: version " POSTERN_VERSION ", "));
  EverySecond();
  return absl::OkStatus();
}

absl::Status Agent::StartUplink() {
  const policy::Config& config = policy_->config();
  if (uplink_ != nullptr && config.collector_addresses == collectors_) return absl::OkStatus();
  uplink_.reset();
  collectors_ = config.collector_addresses;
  if (absl::Status status = spool_->SetLocalOnly(collectors_.empty()); !status.ok()) {
    // A damaged spool is begun anew by the next turn.
    LogWarning("%s", MessageOf(status));
  }
  if (collectors_.empty()) return absl::OkStatus();
  uplink::Options options;
  options.addresses = collectors_;
  options.host = identity_.host;
  options.agent = identity_.agent;
  options.boot = identity_.boot;
  options.version = POSTERN_VERSION;
  options.state = [this] {
    MutexLock lock(&state_mutex_);
    return state_;
  };
  ASSIGN_OR_RETURN(uplink_, uplink::Uplink::Create(std::move(options), spool_.get()));
  return absl::OkStatus();
}

absl::Status Agent::Run() {
  service_manager_.Ready(
      absl::StrCat(ModeName(policy_->mode()), ", generation ", policy_->generation()));
  bool more = false;
  while (!stop_) {
    const bool idle = absl::Now() - committed_at_ > kIdleAfter;
    sensor_->Wait(more ? absl::ZeroDuration() : idle ? kIdleTurnEvery : kTurnEvery);
    commands_->RunAll();
    if (reload_.exchange(false)) ReadConfigAgain();
    FollowLocalAddresses();
    if (absl::Now() >= next_second_) EverySecond();
    more = TurnPump();
  }
  Finish();
  return absl::OkStatus();
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
  if (absl::Now() < retry_spool_at_) return false;
  committed_ = false;
  const absl::StatusOr<bool> more = pump_->Turn();
  if (committed_) {
    committed_at_ = absl::Now();
    if (uplink_ != nullptr) uplink_->Notify();
  }
  if (more.ok()) {
    if (!spool_problem_.empty()) LogInfo("the spool can be written again");
    spool_problem_.clear();
    return *more;
  }
  retry_spool_at_ = absl::Now() + kRetrySpool;
  const bool first = spool_problem_.empty();
  spool_problem_ =
      absl::StrCat("events wait in memory and in the kernel's rings: ", MessageOf(more.status()),
                   "; make room or mend the disk");
  if (first) LogError("%s", spool_problem_);
  return false;
}

void Agent::Committed(const v1::Event& event) {
  committed_ = true;
  feed_.Publish(event);
  absl::Status written = event_log_->Write(event);
  if (!written.ok() && event_log_problem_.empty()) LogError("%s", MessageOf(written));
  event_log_problem_ = written.ok() ? "" : MessageOf(written);
}

void Agent::EverySecond() {
  next_second_ = absl::Now() + absl::Seconds(1);
  absl::Status counted = pump_->CountUp();
  counter_problem_ = counted.ok() ? "" : MessageOf(counted);
  FollowHooks();
  PublishState();
  service_manager_.Alive();
}

void Agent::FollowHooks() {
  for (const sensor::HookState& hook : sensor_->Hooks()) {
    // What was never attached is in the status; it is no change.
    const auto [known, first] = hooks_attached_.try_emplace(hook.name, hook.attached);
    if (first || known->second == hook.attached) continue;
    known->second = hook.attached;
    const std::string message =
        hook.attached ? absl::StrCat("hook ", hook.name, " is attached again")
                      : absl::StrCat("hook ", hook.name, " is not attached any more: ",
                                     hook.reason.empty() ? "restart posternd" : hook.reason);
    Log(hook.attached ? LogLevel::kInfo : LogLevel::kError, message);
    AddPolicyEvent(message);
  }
}

void Agent::FollowLocalAddresses() {
  absl::StatusOr<bool> changed = local_addresses_->Refresh();
  absl::Status status = changed.status();
  if (changed.ok() && *changed) status = sensor_->SetLocalAddresses(local_addresses_->addresses());
  const bool first = address_problem_.empty();
  address_problem_ =
      status.ok() ? ""
                  : absl::StrCat("this host's addresses may be out of date: ", MessageOf(status));
  if (!status.ok() && first) LogWarning("%s", address_problem_);
}

void Agent::ReadConfigAgain() {
  service_manager_.Reloading();
  policy::LoadedConfig loaded = policy::LoadConfigFile(options_.config_file, *host_);
  LogFindings(loaded);
  const absl::Status status =
      loaded.ok() ? TakeConfig(loaded)
                  : absl::InvalidArgumentError(absl::StrCat(options_.config_file,
                                                            " is refused; posternd --check-config ",
                                                            options_.config_file, " shows why"));
  config_problems_.clear();
  if (!status.ok()) {
    config_problems_.push_back(absl::StrCat("reload changed nothing: ", MessageOf(status)));
    LogError("%s", config_problems_.back());
    for (const policy::Finding& finding : loaded.findings.all()) {
      if (finding.severity == policy::Severity::kFault) {
        config_problems_.push_back(policy::ToString(loaded.file, finding));
      }
    }
  }
  PublishState();
  service_manager_.Ready(
      absl::StrCat(ModeName(policy_->mode()), ", generation ", policy_->generation()));
}

absl::Status Agent::TakeConfig(const policy::LoadedConfig& loaded) {
  const policy::Config old = policy_->config();
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
  } else if (absl::Status status = event_log_->Reopen(); !status.ok()) {
    LogWarning("%s", MessageOf(status));
    event_log_problem_ = MessageOf(status);
  }
  WarnOfWhatNeedsARestart(old, config);
  RETURN_IF_ERROR(StartUplink());
  AnnouncePolicy("configuration read again: ");
  absl::Status kept = policy::LastGood(state_dir_).Keep(loaded.text);
  if (!kept.ok()) LogWarning("the accepted configuration is not kept: %s", MessageOf(kept));
  return absl::OkStatus();
}

void Agent::AnnouncePolicy(const std::string& what) {
  const std::string message =
      absl::StrCat(what, "mode ", ModeName(policy_->mode()), ", generation ", policy_->generation(),
                   ", ", policy_->config().rules.size(), " rules");
  LogInfo("%s", message);
  AddPolicyEvent(message);
  PublishState();
}

void Agent::AddPolicyEvent(const std::string& message) {
  v1::Event event;
  event.set_kind(v1::Event::POLICY);
  event.set_generation(policy_->generation());
  event.set_message(message);
  pump_->Add(std::move(event));
}

void Agent::PublishState() {
  v1::AgentState state;
  state.set_mode(ModeName(policy_->mode()));
  state.set_generation(policy_->generation());
  state.set_events_lost(pump::LostIn(pump_->counters()) + pump_->unreadable());
  state.set_healthy(Problems().empty());
  bool changed = false;
  {
    MutexLock lock(&state_mutex_);
    changed = state.mode() != state_.mode() || state.generation() != state_.generation() ||
              state.healthy() != state_.healthy();
    state_ = std::move(state);
  }
  if (changed && uplink_ != nullptr) uplink_->NotifyState();
}

std::vector<std::string> Agent::Problems() const {
  std::vector<std::string> problems = config_problems_;
  problems.insert(problems.end(), pump_->damage().begin(), pump_->damage().end());
  for (const std::string& problem :
       {spool_problem_, event_log_problem_, counter_problem_, address_problem_}) {
    if (!problem.empty()) problems.push_back(problem);
  }
  for (const sensor::HookState& hook : sensor_->Hooks()) {
    if (!hook.attached && IsEssential(hook.name)) {
      problems.push_back(absl::StrCat("hook ", hook.name, " is not attached: ", hook.reason));
    }
  }
  if (const uint64_t passed = pump_->counters()[POSTERN_COUNTER_NO_POLICY]; passed > 0) {
    problems.push_back(
        absl::StrCat(passed, " connections passed while no policy was in place: restart posternd"));
  }
  return problems;
}

absl::StatusOr<v1::StatusResponse> Agent::GetStatus() {
  return commands_->Run<v1::StatusResponse>([this] { return BuildStatus(); });
}

absl::StatusOr<v1::TestPolicyResponse> Agent::TestPolicy(const v1::TestPolicyRequest& request) {
  return commands_->Run<v1::TestPolicyResponse>(
      [this, request] { return policy_->Test(request, local_addresses_->addresses()); });
}

absl::StatusOr<v1::SetModeResponse> Agent::SetMode(bool enforce) {
  return commands_->Run<v1::SetModeResponse>([this, enforce] {
    return SwitchMode(enforce ? policy::Mode::kEnforce : policy::Mode::kMonitor);
  });
}

absl::StatusOr<v1::SetModeResponse> Agent::SwitchMode(policy::Mode mode) {
  RETURN_IF_ERROR(policy_->SetMode(mode));
  AnnouncePolicy("mode switched by hand: ");
  v1::SetModeResponse response;
  response.set_generation(policy_->generation());
  if (mode == policy::Mode::kMonitor) return response;
  absl::StatusOr<std::vector<v1::Sender>> senders = policy_->RestartFirst();
  if (!senders.ok()) {
    LogWarning("senders that must be restarted cannot be listed: %s", MessageOf(senders.status()));
    return response;
  }
  for (v1::Sender& sender : *senders) *response.add_restart_first() = std::move(sender);
  return response;
}

absl::StatusOr<v1::StatusResponse> Agent::BuildStatus() const {
  v1::StatusResponse status;
  AddProblems(Problems(), collectors_.empty() ? nullptr : uplink_.get(), status);
  status.set_version(POSTERN_VERSION);
  status.set_host(identity_.host);
  status.set_agent(identity_.agent);
  status.set_boot(identity_.boot);
  status.set_started_ns(static_cast<uint64_t>(absl::ToUnixNanos(started_)));
  status.set_mode(ModeName(policy_->mode()));
  status.set_mode_overridden(policy_->mode_overridden());
  status.set_generation(policy_->generation());
  status.set_policy_loaded_ns(static_cast<uint64_t>(absl::ToUnixNanos(policy_->since())));
  status.set_rules(static_cast<uint32_t>(policy_->config().rules.size()));
  status.set_config_file(policy_->config().file);
  AddHooks(sensor_->Hooks(), status);
  if (auto counters = sensor_->ReadCounters(); counters.ok()) {
    AddCounters(*counters, pump_->unreadable(), status);
  }
  if (auto stats = spool_->GetStats(); stats.ok()) AddSpool(*stats, status);
  return status;
}

void Agent::Finish() {
  service_manager_.Stopping();
  commands_->Close();
  control_.reset();
  const bool release = policy_->config().on_stop == policy::OnStop::kRelease;
  AddPolicyEvent(release ? "agent stopped: nothing is judged or recorded until it starts again"
                         : "agent stopped: the policy stays in force");
  EverySecond();
  while (TurnPump()) {
  }
  const absl::Time deadline = absl::Now() + kFarewell;
  while (uplink_ != nullptr && uplink_->link().connected && absl::Now() < deadline) {
    const auto stats = spool_->GetStats();
    if (!stats.ok() || stats->events == 0) break;
    sensor_->Wait(absl::Milliseconds(5));
  }
  uplink_.reset();
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
