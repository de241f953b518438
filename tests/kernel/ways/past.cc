// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/ways/way.h"

namespace postern::testing::ways {
namespace {

constexpr char kFoundNote[] =
    "Closed where BPF LSM is active (`lsm=…,bpf` at boot; Debian's kernels have it). Elsewhere "
    "such sockets are found once a minute and recorded with their holder; who lives shorter is "
    "not seen. Making one wants CAP_NET_RAW.";

Way Raw(const char* id, const char* title, const char* way) {
  return {.id = id,
          .title = title,
          .line = {"{attacks}/raw", "--uid=33", "--stay", way, "{to}", "{port}"},
          .policy = &kNoRawSockets,
          .without = kPasses,
          .with = kRefused,
          .recorded = "raw_socket denied: uid 33, raw, exec",
          .answered = true,
          .holds = true};
}

Way Packet(const char* id, const char* title, const char* way) {
  Way packet = Raw(id, title, way);
  packet.with = kPasses;
  packet.recorded = "packet_socket allowed: uid 33, raw, exec";
  packet.with_lsm = kRefused;
  packet.recorded_with_lsm = "packet_socket denied: uid 33, raw, exec";
  packet.note = kFoundNote;
  return packet;
}

}  // namespace

const Policy kNoRawSockets = {.shown = "raw_sockets: deny", .denies_raw_sockets = true};
const Policy kResets = {.shown = "earlier_connections: reset", .resets_earlier = true};

std::vector<Way> Past() {
  Way extension =
      Raw("RawExtension", "the same over IPv6, behind an extension header", "extension");
  extension.line = {"{attacks}/raw", "--uid=33", "--stay", "extension", "{to6}", "{port}"};

  Way included =
      Raw("RawIcmp", "the same by one of protocol ICMP that includes headers (IP_HDRINCL)", "icmp");
  included.with = kPasses;
  included.recorded = kNothing;
  included.with_lsm = kRefused;
  included.recorded_with_lsm = "raw_socket denied: uid 33, raw, exec";
  included.note =
      "Closed where BPF LSM is active. Elsewhere sockets of other protocols than TCP and RAW are "
      "left alone, ping needs them, and nothing is recorded of headers that they include. Making "
      "one wants CAP_NET_RAW.";

  std::vector<Way> ways = {
      Raw("RawTcp", "a SYN of one's own, by a raw socket of protocol TCP", "tcp"),
      Raw("RawAny", "the same by one of protocol RAW", "raw"),
      Raw("RawCut", "the same by one of protocol 262, of which 8 bits are TCP", "cut"),
      extension,
      included,
      Packet("Packet", "a frame of one's own, by AF_PACKET", "packet"),
      Packet("PacketCooked", "the same, the kernel writes the frame's header", "cooked"),
      Packet("PacketBypass", "the same, past the queueing discipline (PACKET_QDISC_BYPASS)",
             "bypass"),
      Packet("PacketObsolete", "the same by AF_INET and SOCK_PACKET", "obsolete"),
  };
  Way earlier = {.id = "Earlier",
                 .title = "a connection from before the agent's first start",
                 .line = {"{attacks}/hold", "--alone", "--uid=33", "127.0.0.1", "{port}"},
                 .policy = &kResets,
                 .without = kPasses,
                 .with = "ended: ECONNRESET",
                 .recorded = "earlier_connection denied: uid 33, hold, seeded",
                 .early = true,
                 .own_listener = true,
                 .holds = true};
  earlier.note =
      "Without `earlier_connections: reset` it stays open, recorded with its holder and the "
      "verdict `allowed`.";
  ways.push_back(earlier);
  return ways;
}

}  // namespace postern::testing::ways
