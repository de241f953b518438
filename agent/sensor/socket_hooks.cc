// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/socket_hooks.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/sensor/cgroup_hook.h"
#include "agent/sensor/link_keeper.h"
#include "common/status.h"

namespace postern::sensor {
namespace {

struct SocketHook {
  const char* link;
  const char* program;
  bool of_cgroup;    // else a security hook
  const char* lost;  // without it
};
constexpr SocketHook kSocketHooks[] = {
    {"sock_create", "judge_sock_create", true, "raw sockets are neither recorded nor refused"},
    {"socket_create", "judge_packet_socket", false,
     "AF_PACKET sockets are looked for once a minute, and not refused"},
    {"socket_setsockopt", "judge_header_included", false,
     "raw sockets of other protocols that send TCP (IP_HDRINCL) are neither recorded nor refused"}};

// They run on demand; named only where they are missing.
struct Finder {
  const char* name;
  const char* program;
  const char* lost;
};
constexpr Finder kFinders[] = {
    {"packet_sockets", "find_packet_sockets", "AF_PACKET sockets that are open are not found"},
    {"earlier_connections", "find_earlier_connections",
     "connections from before the agent are neither recorded nor reset"}};

void LookAtCgroupHook(const SocketHook& hook, const PinFolder& pins, const ProgramSet& programs,
                      int cgroup_fd, HookState& state) {
  absl::StatusOr<CgroupHook> found =
      LookAtHook(cgroup_fd, programs.program(hook.program), pins.LinkPath(hook.link));
  if (!found.ok()) {
    state.reason = std::string(found.status().message());
    return;
  }
  state.others = std::move(found->others);
  state.attached = found->ours;
  if (!state.attached) {
    state.reason =
        absl::StrCat("it is not at the root of cgroup v2: ", hook.lost, "; restart posternd");
  }
}

}  // namespace

absl::Status KeepSocketHooks(const PinFolder& pins, const ProgramSet& programs, int cgroup_fd) {
  for (const SocketHook& hook : kSocketHooks) {
    if (!programs.WhyMissing(hook.program).empty()) continue;
    const bpf_program* program = programs.program(hook.program);
    // Two of a security hook run beside each other for a moment at an upgrade: what
    // is made in it counts twice.
    RETURN_IF_ERROR(hook.of_cgroup ? KeepCgroupHook(pins, hook.link, program, cgroup_fd)
                                   : KeepTracker(pins, hook.link, program));
  }
  return absl::OkStatus();
}

std::vector<HookState> SocketHookStates(const PinFolder& pins, const ProgramSet& programs,
                                        int cgroup_fd) {
  std::vector<HookState> states;
  for (const SocketHook& hook : kSocketHooks) {
    HookState& state = states.emplace_back();
    state.name = hook.link;
    if (const std::string why = programs.WhyMissing(hook.program); !why.empty()) {
      state.supported = false;
      state.reason = absl::StrCat(hook.lost, ": ", why);
      continue;
    }
    if (hook.of_cgroup) {
      LookAtCgroupHook(hook, pins, programs, cgroup_fd, state);
      continue;
    }
    state.attached = pins.HasLink(hook.link);
    if (!state.attached) {
      state.reason = absl::StrCat("its pin is gone: ", hook.lost, "; restart posternd");
    }
  }
  for (const Finder& finder : kFinders) {
    const std::string why = programs.WhyMissing(finder.program);
    if (why.empty()) continue;
    states.push_back({.name = finder.name,
                      .attached = false,
                      .reason = absl::StrCat(finder.lost, ": ", why),
                      .supported = false});
  }
  return states;
}

}  // namespace postern::sensor
