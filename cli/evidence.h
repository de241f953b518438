// SPDX-License-Identifier: Apache-2.0
// What the record says of one host and a window of time, put together for somebody
// who was not there. Pure functions over events of that host.
#ifndef POSTERN_CLI_EVIDENCE_H_
#define POSTERN_CLI_EVIDENCE_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
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
  void Add(const Tally& other);
};

// Who attempts are told apart by, as tables show it.
struct Sender {
  std::string user;
  std::string binary;
  v1::Event::Kind kind = v1::Event::KIND_UNSPECIFIED;
  std::string verdict;
  std::string rule;

  auto operator<=>(const Sender&) const = default;
};

// Rows of one table, each of them in memory: a bot may choose a name of its own for
// each of its binaries, and a server sends to as many destinations as it likes.
inline constexpr size_t kMostRows = 10'000;

struct Evidence {
  // All but canaries that were denied, in the order in which they happened.
  std::vector<v1::Event> events;
  // Attempts that were to be listed no more. They are counted below like all others.
  uint64_t left_out = 0;
  // By sender, the kMostRows with the most attempts; `others` are all further ones.
  std::map<Sender, Tally> attempts;
  Tally other_attempts;
  // By kind and verdict; "" where there is none.
  std::map<std::pair<v1::Event::Kind, std::string>, uint64_t> verdicts;
  // What Postfix's own smtp(8) and lmtp(8) connected to, by destination; without what
  // was refused, redirected or for this host itself.
  std::map<std::string, Tally> postfix;
  Tally other_postfix;
  // Connections of such binaries that may be somebody else's: their start was not
  // seen, was not root's, or others can write the file.
  uint64_t unproven_postfix = 0;
  // Canaries that were denied, as they have to be.
  Tally proofs;
  // Canaries that were not: then nobody can say what else was let through.
  Tally failed_proofs;
  // When each agent (its installation's name) recorded its first of these events.
  std::map<std::string, uint64_t> agents;
};

// Takes events one by one, so that a window of any size needs little memory.
class Examination {
 public:
  // Of attempts the first `listed` that come are kept: the newest, as collectors answer.
  explicit Examination(size_t listed) : listed_(listed) {}

  void Add(const v1::Event& event);
  // Within a boot events are put in order by the clock that nobody can set, and by the
  // kernel's sequence; boots of one agent follow each other.
  Evidence Finish() &&;

 private:
  const size_t listed_;
  size_t kept_ = 0;
  Evidence evidence_;
};

// Whether the process was the sender of an unaltered Postfix: by the path of the
// binary alone (`claims`), and by all that the kernel saw of it (`is`).
struct PostfixClaim {
  bool claims = false;
  bool is = false;
};
PostfixClaim ClaimOfPostfix(const v1::Event& event);

struct PolicyBefore {
  // By which attempts were judged from then on.
  std::optional<v1::Event> in_force;
  // What was said last since then, if anything was: that the agent stopped, for one.
  std::optional<v1::Event> last_word;
};
// Of POLICY events, newest first.
PolicyBefore PolicyAfter(const std::vector<v1::Event>& events);

// An agent that recorded some of the events.
struct Recorder {
  struct Version {
    std::string version;
    uint64_t since_ns = 0;
  };
  std::string agent;
  uint64_t first_ns = 0;
  // As far as they are on record, in their order.
  std::vector<Version> versions;
  // It recorded attempts before it said the first of them.
  bool attempts_before = false;
};

// In the order in which they began. `policy` is what was in force at the beginning.
std::vector<Recorder> RecordersOf(const Evidence& evidence, const std::optional<v1::Event>& policy);

}  // namespace postern::cli

#endif  // POSTERN_CLI_EVIDENCE_H_
