// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/socket_finder.h"

#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "agent/sensor/bpf_map.h"
#include "agent/sensor/connection_reset.h"
#include "agent/sensor/iterator_run.h"
#include "bpf/abi/state.h"
#include "common/status.h"

namespace postern::sensor {
namespace {

constexpr char kPacketSockets[] = "find_packet_sockets";
constexpr char kEarlierConnections[] = "find_earlier_connections";
// In `known_sockets`: under it stands the number of the look.
constexpr uint64_t kNoCookie = 0;

}  // namespace

absl::StatusOr<std::vector<std::string>> SocketFinder::Look() const {
  std::vector<std::string> not_reset;
  const BpfMap config = programs_.map("config");
  ASSIGN_OR_RETURN(auto values, config.Get<postern_config>(0));
  const bool first = values.looked_at_sockets == 0;
  // Where a hook sees each AF_PACKET socket being made, only those from before it are left.
  const bool hooked = Has("judge_packet_socket");
  if (hooked && !first) return not_reset;
  ASSIGN_OR_RETURN(const uint32_t look, BeginLook());
  if (Has(kPacketSockets)) {
    RETURN_IF_ERROR(RunIterator(programs_.program(kPacketSockets), nullptr).status());
  }
  if (first && Has(kEarlierConnections)) {
    ASSIGN_OR_RETURN(not_reset, FindEarlierConnections());
  }
  RETURN_IF_ERROR(ForgetClosed(look));
  if (first) {
    values.looked_at_sockets = 1;
    RETURN_IF_ERROR(config.Set(0, values));
  }
  return not_reset;
}

absl::StatusOr<std::vector<std::string>> SocketFinder::FindEarlierConnections() const {
  ASSIGN_OR_RETURN(const std::string found,
                   RunIterator(programs_.program(kEarlierConnections), nullptr));
  std::vector<std::string> not_reset;
  postern_held_socket held;
  for (size_t at = 0; at + sizeof(held) <= found.size(); at += sizeof(held)) {
    memcpy(&held, found.data() + at, sizeof(held));
    const absl::Status reset = ResetConnection(held);
    if (reset.ok()) continue;
    not_reset.push_back(absl::StrCat(
        "a connection from before the start, of process ", held.pid, " (descriptor ", held.fd,
        "), is denied and stays open: ", std::string(reset.message()), "; end that process"));
  }
  return not_reset;
}

absl::StatusOr<uint32_t> SocketFinder::BeginLook() const {
  const BpfMap known = programs_.map("known_sockets");
  uint32_t look = 0;
  // At first there is none.
  known.LookUp(&kNoCookie, &look).IgnoreError();
  ++look;
  RETURN_IF_ERROR(known.Update(&kNoCookie, &look));
  return look;
}

absl::Status SocketFinder::ForgetClosed(uint32_t look) const {
  const BpfMap known = programs_.map("known_sockets");
  std::vector<uint64_t> closed;
  uint64_t cookie = 0;
  for (bool more = known.NextKey(nullptr, &cookie); more;) {
    uint32_t seen = 0;
    if (known.LookUp(&cookie, &seen).ok() && seen != look) closed.push_back(cookie);
    const uint64_t before = cookie;
    more = known.NextKey(&before, &cookie);
  }
  for (const uint64_t each : closed) RETURN_IF_ERROR(known.Delete(&each));
  return absl::OkStatus();
}

}  // namespace postern::sensor
