// SPDX-License-Identifier: Apache-2.0
// What docs/policy.md says of one rule and one connect, word for word, without
// sets: what the compiled form is held against.
#ifndef POSTERN_TESTS_UNIT_AGENT_POLICY_NAIVE_JUDGE_H_
#define POSTERN_TESTS_UNIT_AGENT_POLICY_NAIVE_JUDGE_H_

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "agent/policy/cidr.h"
#include "agent/policy/config.h"
#include "agent/policy/evaluator.h"
#include "agent/policy/unit_path.h"

namespace postern::policy {

// Binaries of the tests: /c and /d are two names of one file.
inline BinaryId TestBinary(const std::string& path) {
  const uint64_t number = path == "/d" ? 'c' : static_cast<uint64_t>(path.back());
  return BinaryId{8, {number, number * 7}};
}

inline bool SameBinary(const BinaryId& a, const BinaryId& b) {
  return a.device == b.device && a.path.high == b.path.high && a.path.low == b.path.low;
}

inline bool NaivelyMatches(const Rule& rule, const Subject& s) {
  const auto named = [](const std::vector<Account>& accounts, uint32_t id) {
    return std::any_of(accounts.begin(), accounts.end(),
                       [&](const Account& a) { return a.id == id; });
  };
  const bool allow = rule.action == POSTERN_ACTION_ALLOW;
  if (!rule.ports.empty() && std::none_of(rule.ports.begin(), rule.ports.end(),
                                          [&](const PortNumber& n) { return n.port == s.port; })) {
    return false;
  }
  if (!rule.users.empty()) {
    const bool real = named(rule.users, s.uid);
    const bool effective = named(rule.users, s.euid);
    if (allow ? !(real && effective) : !(real || effective)) return false;
  }
  if (!rule.groups.empty() && std::none_of(s.gids.begin(), s.gids.end(),
                                           [&](uint32_t gid) { return named(rule.groups, gid); })) {
    return false;
  }
  if (!rule.exes.empty()) {
    if (!s.seen_at_exec || !s.exe_trusted || !s.binary.has_value()) return false;
    if (std::none_of(rule.exes.begin(), rule.exes.end(), [&](const BinaryPath& exe) {
          return SameBinary(TestBinary(exe.path), *s.binary);
        })) {
      return false;
    }
  }
  if (!rule.started_as.empty()) {
    if (!s.seen_at_exec || !named(rule.started_as, s.started_as.value())) return false;
  }
  if (rule.destination_local || !rule.destinations.empty()) {
    const bool in_network =
        std::any_of(rule.destinations.begin(), rule.destinations.end(),
                    [&](const Cidr& cidr) { return Contains(cidr, s.destination); });
    if (!in_network && !(rule.destination_local && s.destination_local)) return false;
  }
  const Criteria& no = rule.excluded;
  if (std::any_of(no.ports.begin(), no.ports.end(),
                  [&](const PortNumber& n) { return n.port == s.port; }) ||
      std::any_of(s.gids.begin(), s.gids.end(),
                  [&](uint32_t gid) { return named(no.groups, gid); }) ||
      std::any_of(no.destinations.begin(), no.destinations.end(),
                  [&](const Cidr& cidr) { return Contains(cidr, s.destination); }) ||
      (no.destination_local && s.destination_local)) {
    return false;
  }
  const auto in_one_of = [&](const std::vector<UnitPath>& units) {
    return std::any_of(units.begin(), units.end(),
                       [&](const UnitPath& unit) { return Contains(unit, s.unit.value()); });
  };
  if (!rule.units.empty() && !in_one_of(rule.units)) return false;
  if (in_one_of(no.units)) return false;
  const auto runs_one_of = [&](const std::vector<ScriptPath>& scripts) {
    return std::any_of(scripts.begin(), scripts.end(),
                       [&](const ScriptPath& script) { return script.path == *s.script; });
  };
  if (!rule.scripts.empty() && (!s.seen_at_exec || !runs_one_of(rule.scripts))) return false;
  if (!no.scripts.empty() && (s.seen_at_exec ? runs_one_of(no.scripts) : allow)) return false;
  // An allow rule is for whom neither id excludes; a deny rule for whom one of
  // both is named and not excluded.
  const auto is_meant = [&](uint32_t id) {
    return (rule.users.empty() || named(rule.users, id)) && !named(no.users, id);
  };
  if (allow ? !(is_meant(s.uid) && is_meant(s.euid)) : !(is_meant(s.uid) || is_meant(s.euid))) {
    return false;
  }
  // Who may be somebody excluded is not allowed, and not spared.
  if (!no.exes.empty()) {
    if (!s.seen_at_exec || !s.exe_trusted || !s.binary.has_value()) {
      if (allow) return false;
    } else if (std::any_of(no.exes.begin(), no.exes.end(), [&](const BinaryPath& exe) {
                 return SameBinary(TestBinary(exe.path), *s.binary);
               })) {
      return false;
    }
  }
  if (!no.started_as.empty()) {
    if (s.seen_at_exec ? named(no.started_as, s.started_as.value()) : allow) return false;
  }
  const bool says_who = !rule.users.empty() || !rule.groups.empty() || !rule.exes.empty() ||
                        !rule.started_as.empty() || !rule.units.empty() || !no.units.empty() ||
                        !rule.scripts.empty() || !no.scripts.empty() || !no.users.empty() ||
                        !no.groups.empty() || !no.exes.empty() || !no.started_as.empty();
  if (rule.container.has_value()) {
    if (*rule.container != s.in_container) return false;
  } else if (s.in_container && allow && says_who) {
    return false;
  }
  if (s.in_user_namespace) {
    if (rule.user_namespace.has_value()) return *rule.user_namespace == UserNamespace::kAny;
    return !(allow && says_who);
  }
  return true;
}

// What comes of a rule that matches.
inline postern_action NaiveAction(const Rule& rule, const Subject& s) {
  if (rule.action != POSTERN_ACTION_REDIRECT) return rule.action;
  const bool names_who = !rule.users.empty() || !rule.groups.empty() || !rule.units.empty();
  if (s.in_network_namespace) return POSTERN_ACTION_DENY;
  if (!s.seen_at_exec && !names_who) return POSTERN_ACTION_DENY;
  return s.destination_local ? POSTERN_ACTION_ALLOW : POSTERN_ACTION_REDIRECT;
}

// Small worlds, so that rules and subjects meet.
class World {
 public:
  explicit World(uint32_t seed) : random_(seed) {}

  bool Chance(int percent) { return Number(100) < percent; }
  int Number(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  uint32_t Id() {
    static constexpr uint32_t kIds[] = {0, 33, 101, 1000};
    return kIds[Number(4)];
  }
  std::string Path() { return std::string("/") + static_cast<char>('a' + Number(5)); }

  Config RandomConfig() {
    Config config;
    config.ports = {25, 465, 587};
    config.default_action = Chance(50) ? POSTERN_ACTION_ALLOW : POSTERN_ACTION_DENY;
    // Past one word of the sets, too.
    const int rules = Chance(10) ? 60 + Number(197) : Number(7);
    for (int i = 0; i < rules; ++i) config.rules.push_back(RandomRule(i));
    return config;
  }

  Rule RandomRule(int number) {
    Rule rule;
    rule.name = "r" + std::to_string(number);
    rule.action = Chance(50)   ? POSTERN_ACTION_ALLOW
                  : Chance(60) ? POSTERN_ACTION_DENY
                               : POSTERN_ACTION_REDIRECT;
    FillCriteria(rule, 40);
    if (Chance(30)) FillCriteria(rule.excluded, 15);
    if (Chance(25)) rule.container = Chance(50);
    if (Chance(25)) {
      rule.user_namespace = Chance(50) ? UserNamespace::kAny : UserNamespace::kInitial;
    }
    return rule;
  }

  Subject RandomSubject() {
    Subject s;
    s.uid = Id();
    s.euid = Chance(70) ? s.uid : Id();
    do s.gids.push_back(Id());
    while (Chance(40));
    if (Chance(90)) s.binary = TestBinary(Path());
    s.seen_at_exec = Chance(80);
    s.exe_trusted = Chance(80);
    s.started_as = Id();
    static const char* const kUnits[] = {"/", "/a", "/a/b", "/a/bc", "/d/b"};
    s.unit = kUnits[Number(5)];
    s.script = Chance(30) ? "" : Path();
    s.in_container = Chance(25);
    s.in_user_namespace = Chance(25);
    s.in_network_namespace = Chance(25);
    static const char* const kAddresses[] = {"10.1.2.3",  "10.1.9.9",    "10.200.0.1",
                                             "192.0.2.1", "2001:db8::1", "2001:db8:1::1",
                                             "::1",       "::",          "::fffe:0:1"};
    s.destination = ParseAddress(kAddresses[Number(9)]).value();
    s.destination_local = Chance(25);
    s.port = Port();
    return s;
  }

 private:
  // `percent`: of the fields most often named.
  void FillCriteria(Criteria& criteria, int percent) {
    const auto fill = [&](int percent_of_field, const std::function<void()>& add) {
      while (Chance(percent_of_field)) add();
    };
    fill(percent, [&] { criteria.users.push_back({"", Id(), 0}); });
    fill(percent * 5 / 8, [&] { criteria.groups.push_back({"", Id(), 0}); });
    fill(percent * 3 / 4, [&] { criteria.exes.push_back({Path(), 0}); });
    fill(percent / 2, [&] { criteria.started_as.push_back({"", Id(), 0}); });
    fill(percent / 2, [&] { criteria.units.push_back(RandomUnit()); });
    fill(percent / 3, [&] { criteria.scripts.push_back({Path(), 0}); });
    fill(percent * 3 / 4, [&] { criteria.destinations.push_back(RandomCidr()); });
    criteria.destination_local = Chance(percent / 2);
    fill(percent * 3 / 4, [&] { criteria.ports.push_back({Port(), 0}); });
  }

  UnitPath RandomUnit() {
    static const char* const kUnits[] = {"/", "/*", "/a", "/a*", "/a/*", "/a/b", "/a/b*", "/d/b"};
    return ParseUnitPath(kUnits[Number(8)]).value();
  }

  uint16_t Port() {
    static constexpr uint16_t kPorts[] = {25, 465, 587};
    return kPorts[Number(3)];
  }
  Cidr RandomCidr() {
    static const char* const kCidrs[] = {"0.0.0.0/0",     "10.0.0.0/8",    "10.1.0.0/16",
                                         "10.1.2.0/24",   "10.1.2.3",      "192.0.2.1/32",
                                         "::/0",          "::/8",          "::/80",
                                         "2001:db8::/32", "2001:db8::/48", "2001:db8::1/128",
                                         "::1",           "::ffff:0:0/96", "::ffff:10.1.0.0/112"};
    return ParseCidr(kCidrs[Number(15)]).value();
  }

  std::mt19937 random_;
};

}  // namespace postern::policy

#endif  // POSTERN_TESTS_UNIT_AGENT_POLICY_NAIVE_JUDGE_H_
