// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/compiler.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "agent/policy/cidr.h"
#include "agent/policy/rule_set.h"
#include "agent/policy/unit_path.h"
#include "common/status.h"

namespace postern::policy {
namespace {

// The whole of IPv4 in its mapped form.
constexpr uint32_t kIpv4Bits = 96;

// (device or value, path high, path low), for a map with a stable order.
using IndexValue = std::tuple<uint32_t, uint64_t, uint64_t>;

// One dimension while it is put together: the rules that name each value, those
// that exclude it, and those that name none.
template <typename Value>
class DimensionOf {
 public:
  void Name(const Value& value, size_t rule) { AddRule(values_[value].named, rule); }
  void NameNothing(size_t rule) { AddRule(any_, rule); }
  void Exclude(const Value& value, size_t rule) {
    AddRule(values_[value].excluded, rule);
    AddRule(excluding_, rule);
  }

  const postern_rule_set& any() const { return any_; }
  // Of those that exclude somebody, a deny rule takes also whom nothing proves
  // to be another.
  postern_rule_set Unproven(const postern_rule_set& deny_rules) const {
    return any_ - (excluding_ - deny_rules);
  }

  // For what has one value at a time: each entry answers alone.
  template <typename Add>
  void ForEach(const Add& add) const {
    for (const auto& [value, rules] : values_) add(value, (rules.named | any_) - rules.excluded);
  }

 protected:
  struct Rules {
    postern_rule_set named = {};
    postern_rule_set excluded = {};
  };

  std::map<Value, Rules> values_;
  postern_rule_set any_ = {};
  postern_rule_set excluding_ = {};
};

// One that lies in the index.
class Dimension : public DimensionOf<IndexValue> {
 public:
  void Write(postern_dimension dimension, CompiledPolicy& policy) const {
    ForEach([&](const IndexValue& value, const postern_rule_set& rules) {
      Add(dimension, value, rules, policy);
    });
  }

  // For what has many values: the kernel joins what names any of them, and any(),
  // and takes away what excludes one.
  void WriteOfMany(postern_dimension named, postern_dimension excluded,
                   CompiledPolicy& policy) const {
    for (const auto& [value, rules] : values_) {
      if (LowestRule(rules.named) < POSTERN_RULES) Add(named, value, rules.named, policy);
      if (LowestRule(rules.excluded) < POSTERN_RULES) Add(excluded, value, rules.excluded, policy);
    }
  }

 private:
  static void Add(postern_dimension dimension, const IndexValue& value,
                  const postern_rule_set& rules, CompiledPolicy& policy) {
    postern_policy_key key = {};
    key.dimension = dimension;
    key.value = std::get<0>(value);
    key.path = {std::get<1>(value), std::get<2>(value)};
    policy.index.emplace_back(key, rules);
    policy.header.dimensions |= 1U << dimension;
  }
};

// What one user has used of a limit is kept over a reload, by the rule's name:
// FNV-1a, which says the same in each version.
uint64_t HashOfName(absl::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

postern_limit CompiledLimit(absl::string_view name, const Limit& limit) {
  const auto per = static_cast<uint64_t>(absl::ToInt64Nanoseconds(limit.per));
  const uint64_t interval = per / limit.count;
  return {.rule = HashOfName(name), .interval = interval, .burst = interval * limit.count};
}

struct NamedCidr {
  Cidr cidr;
  size_t rule;
  bool excluded;
};

struct NamedUnit {
  UnitPath unit;
  size_t rule;
  bool excluded;
};

class Compilation {
 public:
  Compilation(const Config& config, const IdentifyBinary& identify)
      : config_(config), identify_(identify) {}

  absl::StatusOr<CompiledPolicy> Run() {
    if (config_.rules.size() > POSTERN_RULES) {
      return absl::InvalidArgumentError(
          absl::StrCat(config_.file, ": more than ", POSTERN_RULES, " rules"));
    }
    postern_policy_header& header = policy_.header;
    header.rules = static_cast<uint32_t>(config_.rules.size());
    header.enforce = config_.mode == Mode::kEnforce ? 1 : 0;
    header.deny_errno = static_cast<uint32_t>(config_.deny_errno);
    header.default_action = config_.default_action;
    if (config_.raw_sockets == RawSockets::kDeny) {
      header.switches |= POSTERN_POLICY_DENIES_RAW_SOCKETS;
    }
    if (config_.earlier_connections == EarlierConnections::kReset) {
      header.switches |= POSTERN_POLICY_RESETS_EARLIER;
    }
    policy_.ports = config_.ports;
    for (size_t i = 0; i < config_.rules.size(); ++i) {
      RETURN_IF_ERROR(AddRuleAt(i, config_.rules[i]));
    }
    header.any_port = port_.any();
    header.any_user = user_.any();
    header.any_group = group_.any();
    header.any_exe = exe_.any();
    header.unproven_exe = exe_.Unproven(header.deny_rules);
    header.any_started_as = started_as_.any();
    header.unproven_started_as = started_as_.Unproven(header.deny_rules);
    port_.Write(POSTERN_DIMENSION_PORT, policy_);
    user_.Write(POSTERN_DIMENSION_USER, policy_);
    group_.WriteOfMany(POSTERN_DIMENSION_GROUP, POSTERN_DIMENSION_NOT_GROUP, policy_);
    exe_.Write(POSTERN_DIMENSION_EXE, policy_);
    started_as_.Write(POSTERN_DIMENSION_STARTED_AS, policy_);
    WriteScripts();
    WriteDestinations();
    WriteUnits();
    return std::move(policy_);
  }

 private:
  absl::Status AddRuleAt(size_t index, const Rule& rule) {
    postern_policy_header& header = policy_.header;
    policy_.rule_names.push_back(rule.name);
    header.action[index] = static_cast<uint8_t>(rule.action);
    if (rule.action != POSTERN_ACTION_ALLOW) AddRule(header.deny_rules, index);
    if (rule.limit.has_value()) header.limit[index] = CompiledLimit(rule.name, *rule.limit);
    const Reach reach = ReachOf(rule);
    if (reach.in_container) AddRule(header.in_container, index);
    if (reach.outside_container) AddRule(header.outside_container, index);
    if (reach.in_user_namespace) AddRule(header.in_user_namespace, index);

    if (rule.ports.empty()) port_.NameNothing(index);
    if (rule.users.empty()) user_.NameNothing(index);
    if (rule.groups.empty()) group_.NameNothing(index);
    if (rule.exes.empty()) exe_.NameNothing(index);
    if (rule.started_as.empty()) started_as_.NameNothing(index);
    if (rule.scripts.empty()) script_.NameNothing(index);
    if (rule.units.empty()) AddRule(header.any_unit, index);
    if (!rule.excluded.units.empty()) AddRule(excluding_unit_, index);
    if (!rule.names_destination()) AddRule(header.any_destination, index);
    if (rule.destination_local) AddRule(header.local_destination, index);
    if (rule.excluded.destination_local) AddRule(header.not_local_destination, index);
    RETURN_IF_ERROR(AddCriteria(rule, &Dimension::Name, rule, index));
    return AddCriteria(rule.excluded, &Dimension::Exclude, rule, index);
  }

  using AddValue = void (Dimension::*)(const IndexValue&, size_t);

  absl::Status AddCriteria(const Criteria& criteria, AddValue add, const Rule& rule, size_t index) {
    for (const PortNumber& number : criteria.ports) (port_.*add)({number.port, 0, 0}, index);
    for (const Account& user : criteria.users) (user_.*add)({user.id, 0, 0}, index);
    for (const Account& group : criteria.groups) (group_.*add)({group.id, 0, 0}, index);
    for (const Account& user : criteria.started_as) (started_as_.*add)({user.id, 0, 0}, index);
    for (const BinaryPath& exe : criteria.exes) {
      ASSIGN_OR_RETURN(const BinaryId id, Identified(exe, rule));
      (exe_.*add)({id.device, id.path.high, id.path.low}, index);
    }
    const bool excluded = &criteria == &rule.excluded;
    for (const ScriptPath& script : criteria.scripts) {
      excluded ? script_.Exclude(script.path, index) : script_.Name(script.path, index);
    }
    for (const Cidr& cidr : criteria.destinations) cidrs_.push_back({cidr, index, excluded});
    for (const UnitPath& unit : criteria.units) units_.push_back({unit, index, excluded});
    return absl::OkStatus();
  }

  absl::StatusOr<BinaryId> Identified(const BinaryPath& exe, const Rule& rule) const {
    const auto refuse = [&](absl::StatusCode code, absl::string_view problem) {
      const std::string place =
          exe.line == 0 ? config_.file : absl::StrCat(config_.file, ":", exe.line);
      return absl::Status(
          code, absl::StrCat(place, ": rule ", rule.name, ": binary '", exe.path, "' ", problem));
    };
    const absl::StatusOr<BinaryId> id = identify_(exe.path);
    if (!id.ok()) {
      return refuse(id.status().code(),
                    absl::StrCat("cannot be identified: ", id.status().message()));
    }
    if (id->path.high == 0 && id->path.low == 0) {
      return refuse(absl::StatusCode::kInvalidArgument,
                    "lies too deep in its file system to be told apart");
    }
    return id;
  }

  void WriteScripts() {
    postern_policy_header& header = policy_.header;
    header.any_script = script_.any();
    header.unproven_script = script_.Unproven(header.deny_rules);
    script_.ForEach([&](const std::string& path, const postern_rule_set& rules) {
      policy_.scripts.emplace_back(path, rules);
      header.dimensions |= 1U << POSTERN_DIMENSION_SCRIPT;
    });
  }

  // The trie answers with the longest prefix alone, so each prefix carries the
  // rules of all that cover it: those of the nearest one, and its own.
  void WriteDestinations() {
    struct Entry {
      Cidr cidr;
      postern_destination_rules rules = {};
    };
    // What covers a prefix comes before it, and after all that does not and is wider.
    using Place = std::pair<std::array<uint8_t, 16>, uint32_t>;
    std::map<Place, Entry> of_ipv4, of_ipv6;
    const auto entry = [&](const Cidr& cidr) -> Entry& {
      Place place = {{}, cidr.prefix.bits};
      std::copy(std::begin(cidr.prefix.address), std::end(cidr.prefix.address),
                place.first.begin());
      Entry& found = (cidr.ipv4 ? of_ipv4 : of_ipv6)[place];
      found.cidr = cidr;
      return found;
    };
    Cidr ipv4;
    ipv4.ipv4 = true;
    ipv4.prefix = {kIpv4Bits, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}};
    Cidr as_ipv6 = ipv4;
    as_ipv6.ipv4 = false;
    for (const NamedCidr& named : cidrs_) {
      postern_destination_rules& rules = entry(named.cidr).rules;
      AddRule(named.excluded ? rules.excluded : rules.named, named.rule);
      // IPv4 lies within ::/0 in the trie, but is not meant by a rule on IPv6.
      if (Covers(named.cidr, as_ipv6)) entry(ipv4);
    }
    for (std::map<Place, Entry>* family : {&of_ipv4, &of_ipv6}) {
      std::vector<const Entry*> around;
      for (auto& [place, its] : *family) {
        while (!around.empty() && !Covers(around.back()->cidr, its.cidr)) around.pop_back();
        postern_destination_rules wider = {.named = policy_.header.any_destination, .excluded = {}};
        if (!around.empty()) wider = around.back()->rules;
        its.rules = {.named = its.rules.named | wider.named,
                     .excluded = its.rules.excluded | wider.excluded};
        policy_.destinations.emplace_back(its.cidr.prefix, its.rules);
        around.push_back(&its);
      }
    }
  }

  // As for destinations; a process is in one unit, so what excludes it is taken away.
  void WriteUnits() {
    postern_policy_header& header = policy_.header;
    header.unproven_unit = header.any_unit - (excluding_unit_ - header.deny_rules);
    if (!units_.empty()) header.dimensions |= 1U << POSTERN_DIMENSION_UNIT;
    struct Entry {
      UnitPath unit;
      postern_rule_set named = {};
      postern_rule_set excluded = {};
    };
    // A beginning comes before the one unit of that path.
    std::map<std::pair<std::string, bool>, Entry> entries;
    for (const NamedUnit& named : units_) {
      Entry& its = entries[{named.unit.path, !named.unit.prefix}];
      its.unit = named.unit;
      AddRule(named.excluded ? its.excluded : its.named, named.rule);
    }
    std::vector<const Entry*> around;
    for (auto& [key, its] : entries) {
      while (!around.empty() && !Covers(around.back()->unit, its.unit)) around.pop_back();
      its.named = its.named | (around.empty() ? header.any_unit : around.back()->named);
      if (!around.empty()) its.excluded = its.excluded | around.back()->excluded;
      policy_.units.emplace_back(ToKey(its.unit), its.named - its.excluded);
      if (its.unit.prefix) around.push_back(&its);
    }
  }

  const Config& config_;
  const IdentifyBinary& identify_;
  CompiledPolicy policy_;
  Dimension port_;
  Dimension user_;
  Dimension group_;
  Dimension exe_;
  Dimension started_as_;
  DimensionOf<std::string> script_;
  std::vector<NamedCidr> cidrs_;
  std::vector<NamedUnit> units_;
  postern_rule_set excluding_unit_ = {};
};

}  // namespace

absl::StatusOr<CompiledPolicy> Compile(const Config& config, const IdentifyBinary& identify) {
  return Compilation(config, identify).Run();
}

}  // namespace postern::policy
