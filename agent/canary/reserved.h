// SPDX-License-Identifier: Apache-2.0
// Where the canary connects to: addresses of the loopback network that nobody else
// uses (the last three bytes spell "can"; docs/operations.md). The kernel would let
// it through to whoever listens on all addresses, if nothing denied it.
#ifndef POSTERN_AGENT_CANARY_RESERVED_H_
#define POSTERN_AGENT_CANARY_RESERVED_H_

#include <array>
#include <cstddef>

#include "postern/v1/event.pb.h"

namespace postern::canary {

// One connect for each hook that judges: the second goes by an IPv6 socket to an
// IPv4 address (v4-mapped), which arrives at connect6. IPv6 has but one loopback address.
struct Way {
  const char* hook;
  const char* address;
  bool mapped;
};
inline constexpr std::array<Way, 2> kWays = {
    {{"connect4", "127.99.97.110", false}, {"connect6", "127.99.97.111", true}}};

// The record of a canary that was denied, as it has to be. What failed is no proof.
inline bool IsProof(const v1::Event& event) {
  return event.kind() == v1::Event::CANARY && event.verdict() == v1::Event::DENIED;
}

}  // namespace postern::canary

#endif  // POSTERN_AGENT_CANARY_RESERVED_H_
