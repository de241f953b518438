// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/ways/way.h"

namespace postern::testing::ways {

std::vector<Way> Outside() {
  std::vector<Way> ways;
  ways.push_back({.id = "Handed",
                  .title = "a connected socket, handed over (SCM_RIGHTS)",
                  .line = {"{attacks}/hand_over", "105", "33", "{to}", "{port}"},
                  .policy = &kUser,
                  .without = kPasses,
                  .with = kPasses,
                  .recorded = "allowed by mailer: uid 105, hand_over, exec",
                  .note = "Not closed: the record names the one who connected, and gave it away. "
                          "To take one that is not given (pidfd_getfd) wants what ptrace wants: "
                          "see there."});
  ways.push_back({.id = "Dnat",
                  .title = "DNAT from another port to a watched one",
                  .line = {"/bin/sh", "-c",
                           "nft add table ip ways && "
                           "nft add chain ip ways out '{ type nat hook output priority -100; }' && "
                           "nft add rule ip ways out tcp dport {next port} dnat to {to}:{port} && "
                           "{attacks}/connect --uid=33 {to} {next port}; nft delete table ip ways"},
                  .policy = &kNobody,
                  .without = kPasses,
                  .with = kPasses,
                  .recorded = kNothing,
                  .feature = "nft_nat",
                  .note = "Not closed: connect() is judged by the port that the program asks for. "
                          "Only who has CAP_NET_ADMIN in a network namespace with a way out can "
                          "set this up: root, and a container that was given it. To look at each "
                          "packet once more is nft's work: on the way out, after NAT."});
  ways.push_back({.id = "Datagram",
                  .title = "UDP to a watched port",
                  .line = {"{attacks}/connect", "--uid=33", "--udp", "{to}", "{port}"},
                  .policy = &kNobody,
                  .without = kPasses,
                  .with = kPasses,
                  .recorded = kNothing,
                  .note = "Left alone on purpose: no mail goes by UDP, and every getaddrinfo() "
                          "with port 25 connects such sockets.",
                  .own_listener = true});
  ways.push_back({.id = "Sctp",
                  .title = "SCTP to a watched port",
                  .line = {"{attacks}/other_family", "sctp", "{to}", "{port}"},
                  .policy = &kNobody,
                  .without = kPasses,
                  .with = kPasses,
                  .recorded = kNothing,
                  .feature = "sctp",
                  .note = "Not closed: it does not pass these hooks. It reaches no mail server, "
                          "which listen on TCP.",
                  .own_listener = true});
  ways.push_back({.id = "Vsock",
                  .title = "vsock to a watched port",
                  .line = {"{attacks}/other_family", "vsock", "{to}", "{port}"},
                  .policy = &kNobody,
                  .without = kPasses,
                  .with = kPasses,
                  .recorded = kNothing,
                  .feature = "vsock",
                  .note = "Not closed: it leads to the host of a virtual machine and no further. "
                          "What listens there connects by itself, and is judged where it does.",
                  .own_listener = true});
  return ways;
}

}  // namespace postern::testing::ways
