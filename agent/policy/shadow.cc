// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/shadow.h"

#include <algorithm>

#include "agent/policy/cidr.h"
#include "agent/policy/unit_path.h"

namespace postern::policy {
namespace {

bool Same(const Account& a, const Account& b) {
  return a.id == b.id && (a.id != Account::kUnresolved || a.text == b.text);
}

// Both by the same path is enough to be the same file, though not needed.
bool Same(const BinaryPath& a, const BinaryPath& b) { return a.path == b.path; }

bool Same(const ScriptPath& a, const ScriptPath& b) { return a.path == b.path; }

bool CoversUnits(const Criteria& earlier, const Criteria& later) {
  if (earlier.units.empty()) return true;
  if (later.units.empty()) return false;
  return std::all_of(later.units.begin(), later.units.end(), [&](const UnitPath& wanted) {
    return std::any_of(earlier.units.begin(), earlier.units.end(),
                       [&](const UnitPath& have) { return Covers(have, wanted); });
  });
}

// An empty list asks nothing, and so covers all.
template <typename T>
bool CoversList(const std::vector<T>& earlier, const std::vector<T>& later) {
  if (earlier.empty()) return true;
  if (later.empty()) return false;
  return std::all_of(later.begin(), later.end(), [&](const T& wanted) {
    return std::any_of(earlier.begin(), earlier.end(),
                       [&](const T& have) { return Same(have, wanted); });
  });
}

bool CoversUsers(const Rule& earlier, const Rule& later) {
  if (earlier.users.empty()) return true;
  // A deny rule matches on either of real and effective uid, an allow rule on both.
  if (earlier.action == POSTERN_ACTION_ALLOW && later.action != POSTERN_ACTION_ALLOW) return false;
  return CoversList(earlier.users, later.users);
}

bool CoversPorts(const Criteria& earlier, const Criteria& later,
                 const std::vector<uint16_t>& ports) {
  if (earlier.ports.empty()) return true;
  const auto covered = [&](uint16_t port) {
    return std::any_of(earlier.ports.begin(), earlier.ports.end(),
                       [&](const PortNumber& have) { return have.port == port; });
  };
  if (later.ports.empty()) return std::all_of(ports.begin(), ports.end(), covered);
  return std::all_of(later.ports.begin(), later.ports.end(),
                     [&](const PortNumber& wanted) { return covered(wanted.port); });
}

bool CoversDestinations(const Criteria& earlier, const Criteria& later) {
  if (!earlier.names_destination()) return true;
  const auto whole_family = [&](bool ipv4) {
    return std::any_of(
        earlier.destinations.begin(), earlier.destinations.end(),
        [&](const Cidr& c) { return c.ipv4 == ipv4 && c.prefix.bits == (ipv4 ? 96U : 0U); });
  };
  const bool everything = whole_family(false) && whole_family(true);
  if (everything) return true;
  if (!later.names_destination()) return false;
  if (later.destination_local && !earlier.destination_local) return false;
  return std::all_of(later.destinations.begin(), later.destinations.end(), [&](const Cidr& wanted) {
    return std::any_of(earlier.destinations.begin(), earlier.destinations.end(),
                       [&](const Cidr& have) { return Covers(have, wanted); });
  });
}

bool CoversReach(const Rule& earlier, const Rule& later) {
  const Reach wide = ReachOf(earlier);
  const Reach narrow = ReachOf(later);
  return (wide.in_container || !narrow.in_container) &&
         (wide.outside_container || !narrow.outside_container) &&
         (wide.in_user_namespace || !narrow.in_user_namespace);
}

template <typename T>
bool ExcludesAll(const std::vector<T>& named, const std::vector<T>& excluded) {
  return !named.empty() && !excluded.empty() && CoversList(excluded, named);
}

}  // namespace

absl::string_view FieldExcludedWhole(const Rule& rule, const std::vector<uint16_t>& ports) {
  const Criteria& excluded = rule.excluded;
  if (ExcludesAll(rule.users, excluded.users)) return "user";
  if (ExcludesAll(rule.groups, excluded.groups)) return "group";
  if (ExcludesAll(rule.exes, excluded.exes)) return "exe";
  if (ExcludesAll(rule.started_as, excluded.started_as)) return "started_as";
  if (ExcludesAll(rule.scripts, excluded.scripts)) return "script";
  if (!excluded.units.empty() && CoversUnits(excluded, rule)) return "unit";
  if (!excluded.ports.empty() && CoversPorts(excluded, rule, ports)) return "port";
  if (excluded.names_destination() && CoversDestinations(excluded, rule)) return "destination";
  return "";
}

bool Shadows(const Rule& earlier, const Rule& later, const std::vector<uint16_t>& ports) {
  // Sound where it is left out of account what the later one excludes.
  return earlier.excluded.names_nothing() && CoversUsers(earlier, later) &&
         CoversList(earlier.groups, later.groups) && CoversList(earlier.exes, later.exes) &&
         CoversList(earlier.started_as, later.started_as) && CoversUnits(earlier, later) &&
         CoversList(earlier.scripts, later.scripts) && CoversPorts(earlier, later, ports) &&
         CoversDestinations(earlier, later) && CoversReach(earlier, later);
}

}  // namespace postern::policy
