// SPDX-License-Identifier: Apache-2.0
// Judges one connect by a compiled policy, as the kernel does, and says what
// kept each rule from matching.
#ifndef POSTERN_AGENT_POLICY_EVALUATOR_H_
#define POSTERN_AGENT_POLICY_EVALUATOR_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "agent/policy/compiled_policy.h"
#include "bpf/abi/event.h"

namespace postern::policy {

// Who connects, and to what. Ids are those of the initial user namespace.
struct Subject {
  uint32_t uid = 0;
  uint32_t euid = 0;
  std::vector<uint32_t> gids;  // real, effective and supplementary
  // Absent: a binary that no policy names, or whose path could not be walked.
  std::optional<BinaryId> binary;
  bool seen_at_exec = true;  // enum postern_identity_source: EXEC
  bool exe_trusted = true;   // root's, and writable by root alone, at exec
  // Uid at exec. Absent: not known; then every rule on it is taken to match.
  std::optional<uint32_t> started_as;
  // Path of its cgroup. Absent: not known; then every rule on it is taken to match.
  std::optional<std::string> unit;
  // Path of the script that it runs, "" for none. Absent: not known; likewise.
  std::optional<std::string> script;
  bool in_container = false;
  bool in_user_namespace = false;            // other than the initial
  bool in_network_namespace = false;         // likewise
  std::array<uint8_t, 16> destination = {};  // network order; IPv4 as ::ffff:a.b.c.d
  bool destination_local = false;
  uint16_t port = 0;
};

// What kept a rule from matching, in the order in which it is looked at.
enum class Obstacle {
  kNone,
  kPort,
  kDestination,
  kUser,
  kGroup,
  kExe,
  kStartedAs,
  kUnit,
  kScript,
  kContainer,
  kUserNamespace,
};

struct Evaluation {
  // What is done: not what the rule says, where that is a redirect that cannot be.
  postern_action action = POSTERN_ACTION_DENY;
  uint16_t rule = POSTERN_RULE_DEFAULT;  // index, or this: none matched, the default decided
  // Of each rule before the one that decided; of all rules where none did.
  std::vector<Obstacle> obstacles;
};

// What of a subject is not known; what it says there is passed over.
struct Unknown {
  bool users = false;
  bool groups = false;  // it may have others than `gids`
  bool exe = false;
  bool started_as = false;
  bool unit = false;
  bool script = false;
  bool destination = false;
  bool destination_local = false;
  bool network_namespace = false;
};

// Which rules may decide, where not all is known.
struct Candidates {
  struct Candidate {
    postern_action action;
    uint16_t rule;
  };
  // In their order, each with every action that it may come to; the last is certain
  // to match, unless one before it does. One alone: that decides.
  std::vector<Candidate> rules;
  // What the policy asks for and is not known.
  std::vector<Obstacle> open;
};

// Immutable after construction, so thread-safe. Keeps its own copy of what it
// needs of the policy. Whether the port is judged at all is the caller's to ask
// (CompiledPolicy::ports).
class Evaluator {
 public:
  explicit Evaluator(const CompiledPolicy& policy);

  Evaluation Evaluate(const Subject& subject) const;
  Candidates EvaluateUnknown(const Subject& subject, const Unknown& unknown) const;

 private:
  using Key = std::tuple<uint32_t, uint32_t, uint64_t, uint64_t>;
  using Sets = std::vector<std::pair<Obstacle, postern_rule_set>>;
  // Rules that match whatever is not known turns out to be, and those that may.
  struct Range {
    postern_rule_set certain;
    postern_rule_set possible;
  };

  // In the order in which they are looked at.
  Sets SetsOf(const Subject& subject) const;
  Range Narrow(Range range, postern_dimension dimension) const;
  Range RangeOf(Obstacle obstacle, const Subject& subject, const Unknown& unknown,
                const postern_rule_set& known) const;
  Range Groups(const Subject& subject, const postern_rule_set& known) const;
  template <typename Entries>
  static Range Any(const postern_rule_set& any, const postern_rule_set& unproven,
                   const Entries& entries);
  Range AnyUnit() const;
  Range AnyScript() const;
  Range AnyDestination() const;

  // Of the rule that decides.
  postern_action ActionOf(size_t rule, const Subject& subject) const;
  // All that it may come to: a redirect asks for more than the rule's fields do.
  std::set<postern_action> ActionsOf(size_t rule, const Subject& subject,
                                     const Unknown& unknown) const;
  postern_rule_set Lookup(postern_dimension dimension, uint32_t value, const postern_path_id& path,
                          const postern_rule_set& otherwise) const;
  postern_rule_set Users(const Subject& subject) const;
  postern_rule_set Groups(const Subject& subject) const;
  postern_rule_set Exes(const Subject& subject) const;
  postern_rule_set StartedAs(const Subject& subject) const;
  postern_rule_set Units(const Subject& subject) const;
  postern_rule_set Scripts(const Subject& subject) const;
  postern_rule_set Destinations(const Subject& subject) const;

  postern_policy_header header_;
  std::map<Key, postern_rule_set> index_;
  std::vector<std::pair<postern_prefix, postern_destination_rules>> destinations_;
  std::vector<std::pair<postern_unit_key, postern_rule_set>> units_;
  std::map<std::string, postern_rule_set> scripts_;
};

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_EVALUATOR_H_
