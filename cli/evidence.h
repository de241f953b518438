// SPDX-License-Identifier: Apache-2.0
// What the record says of one host and a window of time, put together for somebody
// who was not there. Pure functions over events of that host.
#ifndef POSTERN_CLI_EVIDENCE_H_
#define POSTERN_CLI_EVIDENCE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "postern/v1/event.pb.h"

namespace postern::cli {

// Attempts that are alike.
struct Tally {
  uint64_t count = 0;
  uint64_t first_ns = 0;
  uint64_t last_ns = 0;

  void Add(const v1::Event& event);
};

struct Evidence {
  // All but canaries that were denied, in the order in which they happened.
  std::vector<v1::Event> events;
  // By user, binary, verdict and rule, as tables show them.
  std::map<std::tuple<std::string, std::string, std::string, std::string>, Tally> attempts;
  std::map<std::string, uint64_t> verdicts;
  // What Postfix's own smtp(8) and lmtp(8) connected to, by destination; without what
  // was refused, redirected or for this host itself.
  std::map<std::string, Tally> postfix;
  // Connections of such binaries that may be somebody else's: their start was not
  // seen, was not root's, or others can write the file.
  uint64_t unproven_postfix = 0;
  // Canaries that were denied, as they have to be.
  Tally proofs;
  // Canaries that were not: then nobody can say what else was let through.
  Tally failed_proofs;
};

// In whatever order they come. Within a boot they are put in order by the clock that
// nobody can set, and by the kernel's sequence.
Evidence Examine(std::vector<v1::Event> events);

// Whether the process was the sender of an unaltered Postfix: by the path of the
// binary alone (`claims`), and by all that the kernel saw of it (`is`).
struct PostfixClaim {
  bool claims = false;
  bool is = false;
};
PostfixClaim ClaimOfPostfix(const v1::Event& event);

// Of POLICY events, newest first, the one by which attempts after them were judged.
std::optional<v1::Event> PolicyInForce(const std::vector<v1::Event>& events);

}  // namespace postern::cli

#endif  // POSTERN_CLI_EVIDENCE_H_
