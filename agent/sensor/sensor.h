// SPDX-License-Identifier: Apache-2.0
// The kernel side, as the rest of the agent sees it: loads and attaches the
// programs, keeps their pins, publishes policies, reads rings and counters.
//
// One thread owns a Sensor and makes all its calls, except that ReadCounters,
// Hooks and IdentifyBinary may be called from any thread.
#ifndef POSTERN_AGENT_SENSOR_SENSOR_H_
#define POSTERN_AGENT_SENSOR_SENSOR_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "agent/policy/compiled_policy.h"
#include "bpf/abi/counters.h"
#include "bpf/abi/policy.h"

namespace postern::sensor {

struct Options {
  // Folder in a bpffs that belongs to Postern; made, and a bpffs mounted on
  // /sys/fs/bpf (0700), where missing.
  std::string bpffs = "/sys/fs/bpf/postern";
  // Mount point of cgroup v2; "auto" finds it.
  std::string cgroup = "auto";
  // As if the kernel had neither bpf_loop nor bpf_set_retval (before 5.17 and
  // 5.18): shorter path walks, and denials that always show EPERM.
  bool without_newer_helpers = false;
};

// Somebody else's program on one of our hooks at the root of cgroup v2. Each of
// them runs for each connect: it may deny what we allow, and, where it runs after
// ours, let pass what we deny.
struct OtherProgram {
  uint32_t id = 0;  // the kernel's
  std::string name;
  bool runs_after = false;
  // It judges as ours does: of another agent, or left by an earlier one.
  bool is_postern = false;
  std::string pin_folder;  // of that; "" where no bpffs that is mounted here has it
  bool has_agent = false;  // which watches that folder
};

struct HookState {
  std::string name;  // "connect4", "exec", …
  bool attached = false;
  std::string reason;                     // why not, and what is lost without it
  std::vector<OtherProgram> others = {};  // in the order in which they run
  bool supported = true;                  // by this kernel
};

// Every connect is: the hooks that judge are attached.
inline bool ConnectsAreJudged(const std::vector<HookState>& hooks) {
  return std::all_of(hooks.begin(), hooks.end(), [](const HookState& hook) {
    return hook.attached || !absl::StartsWith(hook.name, "connect");
  });
}

// The two rings; `kDenied` holds what was denied or would have been.
enum class Ring { kDenied, kOther };

// The policy in force as the kernel's maps hold it.
struct HeldPolicy {
  postern_policy_header header = {};
  std::vector<uint16_t> ports;  // that are judged, in order
  // Attempts of this generation by the rule that decided; the last: none matched.
  std::array<uint64_t, POSTERN_HITS_OF_SLOT> hits = {};
  // Where a map holds something else than was compiled: a line each.
  std::vector<std::string> differences;
};

class Sensor {
 public:
  // Opens or makes the pins, loads the programs, attaches the process trackers,
  // seeds the table of processes if the pins are new. Judges nothing yet when
  // they are; when they are not, the policy left in the kernel goes on judging.
  // Refused with a line that says what to do: no BTF, no capability, no cgroup
  // v2, a pin folder that is not ours, another agent on the same pins.
  static absl::StatusOr<std::unique_ptr<Sensor>> Create(const Options& options);
  // New pins go again where AttachConnect() never succeeded; others stay.
  virtual ~Sensor() = default;

  // Where the kernel sees the file at `path` (links followed, as open(2) does).
  virtual absl::StatusOr<policy::BinaryId> IdentifyBinary(const std::string& path) = 0;

  // Puts `policy` in place by one switch; returns its generation, one more than
  // the last one of this boot's pins. On error the one before stays in force.
  virtual absl::StatusOr<uint32_t> Publish(const policy::CompiledPolicy& policy) = 0;

  // Reads back what is in place, and compares it with what it was published from.
  virtual absl::StatusOr<HeldPolicy> ReadPolicy(const policy::CompiledPolicy& compiled) const = 0;

  // 0 when no policy is in place.
  virtual uint32_t generation() const = 0;

  // Addresses that `destination: local` means, IPv4 as ::ffff:a.b.c.d; loopback
  // and unspecified are known without. Replaces what was set before.
  virtual absl::Status SetLocalAddresses(absl::Span<const std::array<uint8_t, 16>> addresses) = 0;

  // Attaches connect4 and connect6 at the root of cgroup v2, and the hooks on raw
  // sockets that this kernel takes, or puts the new
  // programs in place of those that an earlier agent left there. Needs a policy.
  virtual absl::Status AttachConnect() = 0;

  // From now on each connect of process `pid` to a watched port is denied and has a
  // record of kind CANARY, whatever the policy says; nobody else's is. It is known as
  // it was forked: not what it execs, nor whoever has its pid later. NotFound where the
  // table of processes does not know it.
  virtual absl::Status RegisterCanary(uint32_t pid) = 0;
  // It is judged like everybody else again.
  virtual absl::Status ForgetCanary() = 0;

  // Waits until a denial is recorded, Wake() is called, or `timeout` is over.
  virtual void Wait(absl::Duration timeout) = 0;
  // Has the next record, of whatever kind, end Wait() too: that one alone. False where one
  // came that was not handed out yet, or the kernel cannot be told: then nothing may.
  virtual bool WakeOnNextRecord() = 0;
  // Has `fd` end Wait() whenever it becomes readable, until it is closed.
  virtual absl::Status WakeBy(int fd) = 0;
  // From any thread, and from signal handlers.
  virtual void Wake() = 0;

  // Hands every committed record that was not handed out yet to `sink`, oldest
  // first, at most `max_records`; returns how many. The bytes stay valid, and
  // their place in the ring taken, until Release(ring).
  virtual size_t Read(Ring ring, size_t max_records,
                      const std::function<void(absl::Span<const std::byte>)>& sink) = 0;
  // Position in the ring after the last record handed out. It counts bytes since
  // the ring was made and never goes back; ring_id() names the ring itself, so
  // both together tell what was already taken.
  virtual uint64_t ReadPosition(Ring ring) const = 0;
  virtual std::string RingId(Ring ring) const = 0;
  // Takes up reading at `position`, for records that were committed to the spool
  // but not released before a crash. Ignored where it lies behind.
  virtual void SkipTo(Ring ring, uint64_t position) = 0;
  // Gives the kernel back the room of everything handed out.
  virtual void Release(Ring ring) = 0;

  // Has the kernel write what it coalesced since the last call as records into
  // the rings, and begin to count anew: to be called once a second, since budgets
  // and repeats are per call. Forgets limits of rules that nobody uses up.
  virtual absl::Status FlushRepeats() = 0;

  // Has the kernel record what no hook was asked for, each socket once: those of
  // AF_PACKET that it did not see being made, and, with new pins, connections to
  // watched ports that were there before; the policy may want these reset. To be
  // called after AttachConnect(), and once a minute. Returns a line for each that
  // could not be reset.
  virtual absl::StatusOr<std::vector<std::string>> LookForSockets() = 0;

  virtual absl::StatusOr<std::array<uint64_t, POSTERN_COUNTERS>> ReadCounters() const = 0;
  // Of those that are the agent's own.
  virtual absl::Status SetCounter(postern_counter counter, uint64_t value) = 0;
  virtual std::vector<HookState> Hooks() const = 0;

  // Processes whose identity was not seen at exec ("seeded"): candidates for
  // Sender in control.proto.
  struct UnprovenProcess {
    uint32_t pid = 0;
    policy::BinaryId binary;
    uint32_t uid = 0;
  };
  virtual absl::StatusOr<std::vector<UnprovenProcess>> UnprovenProcesses() = 0;

  // Takes everything down that is pinned under options.bpffs, enforcement
  // included. Refuses (FailedPrecondition) beside a running agent. No error when
  // nothing is there.
  static absl::Status TakeDown(const Options& options);
};

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_SENSOR_H_
