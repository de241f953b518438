// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/kernel_sensor.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <set>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "agent/sensor/cgroup_hook.h"
#include "agent/sensor/cgroup_root.h"
#include "agent/sensor/interpreters.h"
#include "agent/sensor/iterator_run.h"
#include "agent/sensor/link_keeper.h"
#include "agent/sensor/policy_reader.h"
#include "agent/sensor/socket_hooks.h"
#include "bpf/abi/identity.h"
#include "bpf/abi/state.h"
#include "common/log.h"
#include "common/status.h"

namespace postern::sensor {
namespace {

struct Tracker {
  const char* link;
  const char* program;
};
// exit first: no entry is made before there is one to take it away again.
constexpr Tracker kTrackers[] = {
    {"exit", "track_exit"}, {"fork", "track_fork"}, {"exec", "track_exec"}};

struct CgroupHookName {
  const char* link;
  const char* program;
};
constexpr CgroupHookName kConnectHooks[] = {{"connect4", "judge_connect4"},
                                            {"connect6", "judge_connect6"}};

// What redirected sockets say of their peers; no verdict depends on it.
constexpr CgroupHookName kPeerHooks[] = {{"getpeername4", "show_peer4"},
                                         {"getpeername6", "show_peer6"}};

bool IsLoaded(const bpf_program* program) { return bpf_program__fd(program) >= 0; }

// What a table of processes is worth nothing without.
constexpr const char* kMapsThatGoTogether[] = {
    "processes",           "descriptions",  "config",         "sequence",       "counters",
    "ring_denied",         "ring_other",    "policy_current", "policy_headers", "policy_index",
    "policy_destinations", "watched_ports", "repeats",        "spread"};

// Pins whose trackers are gone hold identities that an exec may have outdated
// since: worse than none. Without one of the maps, numbers would begin again.
absl::Status DropStalePins(const PinFolder& pins) {
  if (!pins.HasMap("processes")) return absl::OkStatus();
  bool whole = true;
  for (const Tracker& tracker : kTrackers) whole = whole && pins.HasLink(tracker.link);
  for (const char* map : kMapsThatGoTogether) whole = whole && pins.HasMap(map);
  if (whole) return absl::OkStatus();
  LogWarning("the pins of an earlier start are not whole; beginning anew");
  return pins.Clear();
}

absl::Status FillConfigOnce(const BpfMap& config, const BpfMap& sequence) {
  ASSIGN_OR_RETURN(auto values, config.Get<postern_config>(0));
  if (values.path_key[0] != 0 || values.path_key[1] != 0) return absl::OkStatus();
  if (getrandom(values.path_key, sizeof(values.path_key), 0) != sizeof(values.path_key)) {
    return ErrnoStatus(errno, "drawing the key for path ids");
  }
  // Sequences never repeat within a boot, also after --release: they go on from
  // the age of the machine in nanoseconds, which no stream of events outruns.
  timespec age = {};
  clock_gettime(CLOCK_BOOTTIME, &age);
  const uint64_t first = static_cast<uint64_t>(age.tv_sec) * 1'000'000'000 + age.tv_nsec;
  RETURN_IF_ERROR(sequence.Set(0, first));
  return config.Set(0, values);
}

HookState StateOf(const CgroupHookName& hook, absl::string_view lost_without, const PinFolder& pins,
                  const ProgramSet& programs, int cgroup_fd) {
  HookState state;
  state.name = hook.link;
  if (!IsLoaded(programs.program(hook.program))) {
    state.reason = absl::StrCat("this kernel does not have it: ", lost_without);
    return state;
  }
  absl::StatusOr<CgroupHook> found =
      LookAtHook(cgroup_fd, programs.program(hook.program), pins.LinkPath(hook.link));
  if (!found.ok()) {
    state.reason = std::string(found.status().message());
    return state;
  }
  state.others = std::move(found->others);
  state.attached = found->ours;
  if (!state.attached) {
    state.reason =
        absl::StrCat("it is not at the root of cgroup v2: ", lost_without, "; restart posternd");
  }
  return state;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Sensor>> Sensor::Create(const Options& options) {
  return KernelSensor::Create(options);
}

absl::Status Sensor::TakeDown(const Options& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<PinFolder> pins, PinFolder::Open(options.bpffs));
  return pins->Remove();
}

absl::StatusOr<std::unique_ptr<KernelSensor>> KernelSensor::Create(const Options& options) {
  ASSIGN_OR_RETURN(UniqueFd cgroup, OpenCgroupRoot(options.cgroup));
  ASSIGN_OR_RETURN(std::unique_ptr<PinFolder> pins, PinFolder::Open(options.bpffs));
  RETURN_IF_ERROR(DropStalePins(*pins));
  if (!pins->HasMap("processes")) pins->DoNotKeep();
  ASSIGN_OR_RETURN(std::unique_ptr<ProgramSet> programs,
                   ProgramSet::Load(*pins, options.without_newer_helpers));
  RETURN_IF_ERROR(FillConfigOnce(programs->map("config"), programs->map("sequence")));
  RETURN_IF_ERROR(
      WriteInterpreters(programs->map("interpreters"), programs->map("interpreter_options")));

  auto sensor =
      absl::WrapUnique(new KernelSensor(std::move(pins), std::move(programs), std::move(cgroup)));
  RETURN_IF_ERROR(sensor->flusher_.Prepare());
  RETURN_IF_ERROR(sensor->AttachTrackers());
  RETURN_IF_ERROR(sensor->SeedOnce());
  RETURN_IF_ERROR(sensor->OpenRings());
  ASSIGN_OR_RETURN(sensor->generation_, sensor->publisher_.Generation());
  sensor->limited_ = sensor->generation_ != 0;
  return sensor;
}

KernelSensor::KernelSensor(std::unique_ptr<PinFolder> pins, std::unique_ptr<ProgramSet> programs,
                           UniqueFd cgroup)
    : pins_(std::move(pins)),
      programs_(std::move(programs)),
      cgroup_(std::move(cgroup)),
      identifier_(programs_->program("identify_files")),
      policy_maps_({.current = programs_->map("policy_current"),
                    .headers = programs_->map("policy_headers"),
                    .index = programs_->map("policy_index"),
                    .destinations = programs_->map("policy_destinations"),
                    .units = programs_->map("policy_units"),
                    .hits = programs_->map("policy_hits"),
                    .config = programs_->map("config"),
                    .watched_ports = programs_->map("watched_ports")}),
      publisher_(policy_maps_),
      flusher_({.active = programs_->map("repeats_active"),
                .repeats = programs_->map("repeats"),
                .spread = programs_->map("spread"),
                .flush_repeats = programs_->program("flush_repeats"),
                .flush_spread = programs_->program("flush_spread")}),
      socket_finder_(*programs_) {}

absl::Status KernelSensor::AttachTrackers() {
  for (const Tracker& tracker : kTrackers) {
    RETURN_IF_ERROR(KeepTracker(*pins_, tracker.link, programs_->program(tracker.program)));
  }
  return absl::OkStatus();
}

absl::Status KernelSensor::SeedOnce() {
  const BpfMap config = programs_->map("config");
  ASSIGN_OR_RETURN(auto values, config.Get<postern_config>(0));
  if (values.seeded != 0) return absl::OkStatus();
  for (const char* program : {"seed_processes", "seed_ancestors"}) {
    RETURN_IF_ERROR(RunIterator(programs_->program(program), nullptr).status());
  }
  values.seeded = 1;
  return config.Set(0, values);
}

absl::Status KernelSensor::OpenRings() {
  ASSIGN_OR_RETURN(denied_, RingReader::Create(programs_->map("ring_denied").fd()));
  ASSIGN_OR_RETURN(other_, RingReader::Create(programs_->map("ring_other").fd()));
  wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!wake_.valid() || !epoll_.valid()) return ErrnoStatus(errno, "making an epoll");
  for (const int fd :
       {programs_->map("ring_denied").fd(), programs_->map("ring_other").fd(), wake_.get()}) {
    RETURN_IF_ERROR(WakeBy(fd));
  }
  return absl::OkStatus();
}

absl::StatusOr<policy::BinaryId> KernelSensor::IdentifyBinary(const std::string& path) {
  return identifier_.Identify(path);
}

absl::StatusOr<uint32_t> KernelSensor::Publish(const policy::CompiledPolicy& policy) {
  ASSIGN_OR_RETURN(generation_, publisher_.Publish(policy));
  const auto& limits = policy.header.limit;
  limited_ = limited_ || std::any_of(std::begin(limits), std::end(limits),
                                     [](const postern_limit& l) { return l.interval != 0; });
  return generation_;
}

absl::StatusOr<HeldPolicy> KernelSensor::ReadPolicy(const policy::CompiledPolicy& compiled) const {
  return ReadHeldPolicy(policy_maps_, compiled);
}

absl::Status KernelSensor::SetLocalAddresses(absl::Span<const std::array<uint8_t, 16>> addresses) {
  const BpfMap map = programs_->map("local_addresses");
  std::set<std::array<uint8_t, 16>> wanted(addresses.begin(), addresses.end());
  const uint32_t present = 1;
  for (const auto& address : wanted) {
    RETURN_IF_ERROR(map.Update(address.data(), &present));
  }
  std::vector<std::array<uint8_t, 16>> gone;
  std::array<uint8_t, 16> key = {};
  for (bool more = map.NextKey(nullptr, key.data()); more;) {
    if (wanted.count(key) == 0) gone.push_back(key);
    const std::array<uint8_t, 16> before = key;
    more = map.NextKey(before.data(), key.data());
  }
  for (const auto& address : gone) RETURN_IF_ERROR(map.Delete(address.data()));
  return absl::OkStatus();
}

absl::Status KernelSensor::AttachConnect() {
  if (generation_ == 0) {
    return absl::FailedPreconditionError("connect is not judged before there is a policy");
  }
  // First: a redirect is shown as one from the start.
  for (const CgroupHookName& hook : kPeerHooks) {
    const bpf_program* program = programs_->program(hook.program);
    if (!IsLoaded(program)) continue;
    const absl::Status kept = KeepCgroupHook(*pins_, hook.link, program, cgroup_.get());
    if (!kept.ok()) LogWarning("%s: redirected programs see where they got to", kept.message());
  }
  for (const CgroupHookName& hook : kConnectHooks) {
    RETURN_IF_ERROR(
        KeepCgroupHook(*pins_, hook.link, programs_->program(hook.program), cgroup_.get()));
  }
  // Once: the kernel does not take a program on a security hook a second time.
  if (!socket_hooks_kept_) RETURN_IF_ERROR(KeepSocketHooks(*pins_, *programs_, cgroup_.get()));
  socket_hooks_kept_ = true;
  pins_->Keep();
  return pins_->RemoveOtherVersions();
}

absl::Status KernelSensor::RegisterCanary(uint32_t pid) {
  postern_process process;
  RETURN_IF_ERROR(programs_->map("processes").LookUp(&pid, &process));
  return programs_->map("canary").Set(
      0, postern_canary{
             .start_time = process.start_time, .tgid = pid, .self_exec_id = process.self_exec_id});
}

absl::Status KernelSensor::ForgetCanary() {
  return programs_->map("canary").Set(0, postern_canary{});
}

void KernelSensor::Wait(absl::Duration timeout) {
  epoll_event event;
  // Never too early: there would be nothing to do yet.
  const absl::Duration whole = absl::Ceil(timeout, absl::Milliseconds(1));
  const int ms = static_cast<int>(absl::ToInt64Milliseconds(whole));
  if (epoll_wait(epoll_.get(), &event, 1, ms) <= 0) return;
  uint64_t ignored;
  [[maybe_unused]] const ssize_t drained = read(wake_.get(), &ignored, sizeof(ignored));
}

void KernelSensor::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
}

bool KernelSensor::WakeOnNextRecord() {
  if (!programs_->map("reader_sleeps").Set(0, uint32_t{1}).ok()) return false;
  return !denied_->HasMore() && !other_->HasMore();
}

absl::Status KernelSensor::WakeBy(int fd) {
  // Edge-triggered: records that wait for the spool must not make Wait() spin.
  epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoStatus(errno, "waiting for records and news");
  }
  return absl::OkStatus();
}

size_t KernelSensor::Read(Ring ring, size_t max_records,
                          const std::function<void(absl::Span<const std::byte>)>& sink) {
  return reader(ring).Read(max_records, sink);
}

absl::Status KernelSensor::FlushRepeats() {
  RETURN_IF_ERROR(flusher_.Flush());
  // Looking for the first of none costs 35 µs, each second.
  if (!limited_) return absl::OkStatus();
  const BpfMap limits = programs_->map("limits");
  postern_limit_key first;
  if (!limits.NextKey(nullptr, &first)) return absl::OkStatus();
  bpf_iter_link_info target = {};
  target.map.map_fd = static_cast<uint32_t>(limits.fd());
  return RunIterator(programs_->program("forget_limits"), &target).status();
}

absl::StatusOr<std::array<uint64_t, POSTERN_COUNTERS>> KernelSensor::ReadCounters() const {
  std::array<uint64_t, POSTERN_COUNTERS> counters = {};
  RETURN_IF_ERROR(programs_->map("counters").GetAll(counters));
  return counters;
}

absl::Status KernelSensor::SetCounter(postern_counter counter, uint64_t value) {
  return programs_->map("counters").Set(counter, value);
}

std::vector<HookState> KernelSensor::Hooks() const {
  std::vector<HookState> hooks;
  for (const CgroupHookName& hook : kConnectHooks) {
    hooks.push_back(StateOf(hook, "connections pass unjudged", *pins_, *programs_, cgroup_.get()));
  }
  for (const CgroupHookName& hook : kPeerHooks) {
    hooks.push_back(StateOf(hook, "redirected programs see where they got to", *pins_, *programs_,
                            cgroup_.get()));
    // Nothing that others do there changes a verdict.
    hooks.back().others.clear();
  }
  for (const Tracker& tracker : kTrackers) {
    const bool attached = pins_->HasLink(tracker.link);
    hooks.push_back({.name = tracker.link,
                     .attached = attached,
                     .reason = attached ? ""
                                        : "its pin is gone: identities go stale; "
                                          "restart posternd"});
  }
  for (HookState& state : SocketHookStates(*pins_, *programs_, cgroup_.get())) {
    hooks.push_back(std::move(state));
  }
  return hooks;
}

absl::StatusOr<std::vector<Sensor::UnprovenProcess>> KernelSensor::UnprovenProcesses() {
  const BpfMap map = programs_->map("processes");
  std::vector<UnprovenProcess> unproven;
  uint32_t tgid = 0;
  for (bool more = map.NextKey(nullptr, &tgid); more;) {
    postern_process process;
    // Gone since it was listed: no longer of interest.
    if (map.LookUp(&tgid, &process).ok() && process.source != POSTERN_IDENTITY_EXEC) {
      unproven.push_back({.pid = tgid,
                          .binary = {.device = process.exe_device, .path = process.exe},
                          .uid = process.started_as});
    }
    const uint32_t before = tgid;
    more = map.NextKey(&before, &tgid);
  }
  return unproven;
}

}  // namespace postern::sensor
