// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/evaluator.h"

#include <cstring>
#include <utility>

#include "agent/policy/cidr.h"
#include "agent/policy/rule_set.h"
#include "agent/policy/unit_path.h"

namespace postern::policy {
namespace {

// Bitwise, as the kernel's trie compares: families are not apart here.
bool InPrefix(const postern_prefix& prefix, const std::array<uint8_t, 16>& address) {
  for (uint32_t bit = 0; bit < prefix.bits; ++bit) {
    const uint8_t mask = static_cast<uint8_t>(0x80 >> (bit % 8));
    if ((prefix.address[bit / 8] & mask) != (address[bit / 8] & mask)) return false;
  }
  return true;
}

}  // namespace

Evaluator::Evaluator(const CompiledPolicy& policy)
    : header_(policy.header),
      destinations_(policy.destinations),
      units_(policy.units),
      scripts_(policy.scripts.begin(), policy.scripts.end()) {
  for (const auto& [key, rules] : policy.index) {
    index_[{key.dimension, key.value, key.path.high, key.path.low}] = rules;
  }
}

postern_rule_set Evaluator::Lookup(postern_dimension dimension, uint32_t value,
                                   const postern_path_id& path,
                                   const postern_rule_set& otherwise) const {
  const auto found = index_.find({dimension, value, path.high, path.low});
  return found == index_.end() ? otherwise : found->second;
}

postern_rule_set Evaluator::Users(const Subject& subject) const {
  const auto real = Lookup(POSTERN_DIMENSION_USER, subject.uid, {}, header_.any_user);
  const auto effective = Lookup(POSTERN_DIMENSION_USER, subject.euid, {}, header_.any_user);
  return (real & effective) | ((real | effective) & header_.deny_rules);
}

postern_rule_set Evaluator::Groups(const Subject& subject) const {
  postern_rule_set rules = header_.any_group;
  postern_rule_set excluded = {};
  for (const uint32_t gid : subject.gids) {
    rules = rules | Lookup(POSTERN_DIMENSION_GROUP, gid, {}, {});
    excluded = excluded | Lookup(POSTERN_DIMENSION_NOT_GROUP, gid, {}, {});
  }
  return rules - excluded;
}

postern_rule_set Evaluator::Exes(const Subject& subject) const {
  if (!subject.seen_at_exec || !subject.exe_trusted || !subject.binary.has_value()) {
    return header_.unproven_exe;
  }
  return Lookup(POSTERN_DIMENSION_EXE, subject.binary->device, subject.binary->path,
                header_.any_exe);
}

postern_rule_set Evaluator::StartedAs(const Subject& subject) const {
  if (!subject.seen_at_exec) return header_.unproven_started_as;
  if (!subject.started_as.has_value()) return AllRules();
  return Lookup(POSTERN_DIMENSION_STARTED_AS, *subject.started_as, {}, header_.any_started_as);
}

postern_rule_set Evaluator::Units(const Subject& subject) const {
  if (!subject.unit.has_value()) return AllRules();
  if (subject.unit->size() >= POSTERN_UNIT_BYTES) return header_.unproven_unit;
  postern_unit_key key = ToKey({.path = *subject.unit, .prefix = false, .line = 0});
  postern_rule_set rules = header_.any_unit;
  uint32_t longest = 0;
  for (const auto& [prefix, set] : units_) {
    const bool within =
        prefix.bits <= key.bits && std::memcmp(prefix.path, key.path, prefix.bits / 8) == 0;
    if (!within || prefix.bits < longest) continue;
    longest = prefix.bits;
    rules = set;
  }
  return rules;
}

postern_rule_set Evaluator::Scripts(const Subject& subject) const {
  if (!subject.seen_at_exec) return header_.unproven_script;
  if (!subject.script.has_value()) return AllRules();
  // Nothing longer is told apart.
  if (subject.script->size() >= POSTERN_SCRIPT_BYTES) return header_.unproven_script;
  const auto found = scripts_.find(*subject.script);
  return found == scripts_.end() ? header_.any_script : found->second;
}

postern_rule_set Evaluator::Destinations(const Subject& subject) const {
  postern_destination_rules rules = {.named = header_.any_destination, .excluded = {}};
  const postern_prefix* longest = nullptr;
  for (const auto& [prefix, its] : destinations_) {
    if (!InPrefix(prefix, subject.destination)) continue;
    if (longest != nullptr && longest->bits >= prefix.bits) continue;
    longest = &prefix;
    rules = its;
  }
  if (!subject.destination_local) return rules.named - rules.excluded;
  return (rules.named | header_.local_destination) - rules.excluded - header_.not_local_destination;
}

postern_action Evaluator::ActionOf(size_t rule, const Subject& subject) const {
  const auto action = static_cast<postern_action>(header_.action[rule]);
  if (action != POSTERN_ACTION_REDIRECT) return action;
  const bool names_who = !HasRule(header_.any_user & header_.any_group & header_.any_unit, rule);
  if (subject.in_network_namespace || (!subject.seen_at_exec && !names_who)) {
    return POSTERN_ACTION_DENY;
  }
  return subject.destination_local ? POSTERN_ACTION_ALLOW : POSTERN_ACTION_REDIRECT;
}

std::set<postern_action> Evaluator::ActionsOf(size_t rule, const Subject& subject,
                                              const Unknown& unknown) const {
  if (header_.action[rule] != POSTERN_ACTION_REDIRECT) return {ActionOf(rule, subject)};
  std::vector<Subject> subjects = {subject};
  const auto vary = [&](bool Subject::*fact) {
    for (size_t i = 0, end = subjects.size(); i < end; ++i) {
      Subject other = subjects[i];
      other.*fact = !(other.*fact);
      subjects.push_back(std::move(other));
    }
  };
  if (unknown.destination || unknown.destination_local) vary(&Subject::destination_local);
  if (unknown.exe && unknown.started_as) vary(&Subject::seen_at_exec);
  if (unknown.network_namespace) vary(&Subject::in_network_namespace);
  std::set<postern_action> actions;
  for (const Subject& candidate : subjects) actions.insert(ActionOf(rule, candidate));
  return actions;
}

Evaluator::Sets Evaluator::SetsOf(const Subject& subject) const {
  return {
      {Obstacle::kPort, Lookup(POSTERN_DIMENSION_PORT, subject.port, {}, header_.any_port)},
      {Obstacle::kDestination, Destinations(subject)},
      {Obstacle::kUser, Users(subject)},
      {Obstacle::kGroup, Groups(subject)},
      {Obstacle::kExe, Exes(subject)},
      {Obstacle::kStartedAs, StartedAs(subject)},
      {Obstacle::kUnit, Units(subject)},
      {Obstacle::kScript, Scripts(subject)},
      {Obstacle::kContainer,
       subject.in_container ? header_.in_container : header_.outside_container},
      {Obstacle::kUserNamespace,
       subject.in_user_namespace ? header_.in_user_namespace : AllRules()},
  };
}

Evaluation Evaluator::Evaluate(const Subject& subject) const {
  const Sets sets = SetsOf(subject);
  postern_rule_set match = AllRules();
  for (const auto& [obstacle, set] : sets) match = match & set;

  Evaluation evaluation;
  const size_t rule = LowestRule(match);
  evaluation.rule =
      rule < POSTERN_RULES ? static_cast<uint16_t>(rule) : uint16_t{POSTERN_RULE_DEFAULT};
  evaluation.action = rule < POSTERN_RULES ? ActionOf(rule, subject)
                                           : static_cast<postern_action>(header_.default_action);
  for (size_t before = 0; before < rule && before < header_.rules; ++before) {
    Obstacle first = Obstacle::kNone;
    for (const auto& [obstacle, set] : sets) {
      if (HasRule(set, before)) continue;
      first = obstacle;
      break;
    }
    evaluation.obstacles.push_back(first);
  }
  return evaluation;
}

// With every answer that the index has in `dimension`.
Evaluator::Range Evaluator::Narrow(Range range, postern_dimension dimension) const {
  for (const auto& [key, rules] : index_) {
    if (std::get<0>(key) != static_cast<uint32_t>(dimension)) continue;
    range.certain = range.certain & rules;
    range.possible = range.possible | rules;
  }
  return range;
}

// `known`: by the groups that are.
Evaluator::Range Evaluator::Groups(const Subject& subject, const postern_rule_set& known) const {
  Range range = {known, header_.any_group};
  for (const auto& [key, rules] : index_) {
    if (std::get<0>(key) == POSTERN_DIMENSION_GROUP) range.possible = range.possible | rules;
    if (std::get<0>(key) == POSTERN_DIMENSION_NOT_GROUP) range.certain = range.certain - rules;
  }
  for (const uint32_t gid : subject.gids) {
    range.possible = range.possible - Lookup(POSTERN_DIMENSION_NOT_GROUP, gid, {}, {});
  }
  return range;
}

// With every answer that `entries` have, that of none of them, and that of no proof.
template <typename Entries>
Evaluator::Range Evaluator::Any(const postern_rule_set& any, const postern_rule_set& unproven,
                                const Entries& entries) {
  Range range = {any & unproven, any | unproven};
  for (const auto& [key, rules] : entries) {
    range.certain = range.certain & rules;
    range.possible = range.possible | rules;
  }
  return range;
}

Evaluator::Range Evaluator::AnyUnit() const {
  return Any(header_.any_unit, header_.unproven_unit, units_);
}

Evaluator::Range Evaluator::AnyScript() const {
  return Any(header_.any_script, header_.unproven_script, scripts_);
}

Evaluator::Range Evaluator::AnyDestination() const {
  Range range = {header_.any_destination - header_.not_local_destination,
                 header_.any_destination | header_.local_destination};
  for (const auto& [prefix, rules] : destinations_) {
    range.certain = (range.certain & rules.named) - rules.excluded;
    range.possible = range.possible | rules.named;
  }
  return range;
}

Evaluator::Range Evaluator::RangeOf(Obstacle obstacle, const Subject& subject,
                                    const Unknown& unknown, const postern_rule_set& known) const {
  if (obstacle == Obstacle::kUser && unknown.users) {
    return Narrow({header_.any_user, header_.any_user}, POSTERN_DIMENSION_USER);
  }
  if (obstacle == Obstacle::kGroup && unknown.groups) return Groups(subject, known);
  if (obstacle == Obstacle::kExe && unknown.exe) {
    return Narrow({header_.any_exe & header_.unproven_exe, header_.any_exe | header_.unproven_exe},
                  POSTERN_DIMENSION_EXE);
  }
  if (obstacle == Obstacle::kStartedAs && unknown.started_as) {
    return Narrow({header_.any_started_as & header_.unproven_started_as,
                   header_.any_started_as | header_.unproven_started_as},
                  POSTERN_DIMENSION_STARTED_AS);
  }
  if (obstacle == Obstacle::kUnit && unknown.unit) return AnyUnit();
  if (obstacle == Obstacle::kScript && unknown.script) return AnyScript();
  if (obstacle == Obstacle::kDestination && unknown.destination) return AnyDestination();
  if (obstacle == Obstacle::kDestination && unknown.destination_local) {
    Subject other = subject;
    other.destination_local = !subject.destination_local;
    const postern_rule_set otherwise = Destinations(other);
    return {known & otherwise, known | otherwise};
  }
  return {known, known};
}

Candidates Evaluator::EvaluateUnknown(const Subject& subject, const Unknown& unknown) const {
  Candidates candidates;
  Range match = {AllRules(), AllRules()};
  for (const auto& [obstacle, known] : SetsOf(subject)) {
    const Range range = RangeOf(obstacle, subject, unknown, known);
    if (LowestRule(range.possible - range.certain) < POSTERN_RULES) {
      candidates.open.push_back(obstacle);
    }
    match = {match.certain & range.certain, match.possible & range.possible};
  }
  const size_t certain = LowestRule(match.certain);
  for (size_t rule = 0; rule < header_.rules && rule <= certain; ++rule) {
    if (!HasRule(match.possible, rule)) continue;
    const std::set<postern_action> actions = ActionsOf(rule, subject, unknown);
    for (const postern_action action : actions) {
      candidates.rules.push_back({action, static_cast<uint16_t>(rule)});
    }
    if (actions.size() > 1) candidates.open.push_back(Obstacle::kNone);
  }
  if (certain >= header_.rules) {
    candidates.rules.push_back(
        {static_cast<postern_action>(header_.default_action), POSTERN_RULE_DEFAULT});
  }
  return candidates;
}

}  // namespace postern::policy
