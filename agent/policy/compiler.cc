// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/compiler.h"

#include <array>
#include <cstring>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "agent/policy/cidr.h"
#include "agent/policy/rule_set.h"
#include "common/status.h"

namespace postern::policy {
namespace {

// The whole of IPv4 in its mapped form.
constexpr uint32_t kIpv4Bits = 96;

// (device or value, path high, path low), for a map with a stable order.
using IndexValue = std::tuple<uint32_t, uint64_t, uint64_t>;

// One dimension while it is put together: the rules that name each value, and
// those that name none.
class Dimension {
 public:
  explicit Dimension(postern_dimension dimension) : dimension_(dimension) {}

  void Name(const IndexValue& value, size_t rule) { AddRule(naming_[value], rule); }
  void NameNothing(size_t rule) { AddRule(any_, rule); }

  // `with_any`: an entry answers alone. Else the kernel adds the any_ set itself.
  void Write(bool with_any, postern_rule_set& any, CompiledPolicy& policy) const {
    any = any_;
    if (naming_.empty()) return;
    policy.header.dimensions |= 1U << dimension_;
    for (const auto& [value, rules] : naming_) {
      postern_policy_key key = {};
      key.dimension = dimension_;
      key.value = std::get<0>(value);
      key.path = {std::get<1>(value), std::get<2>(value)};
      policy.index.emplace_back(key, with_any ? rules | any_ : rules);
    }
  }

 private:
  const postern_dimension dimension_;
  std::map<IndexValue, postern_rule_set> naming_;
  postern_rule_set any_ = {};
};

struct NamedCidr {
  Cidr cidr;
  size_t rule;
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
    policy_.ports = config_.ports;
    for (size_t i = 0; i < config_.rules.size(); ++i) {
      RETURN_IF_ERROR(AddRuleAt(i, config_.rules[i]));
    }
    port_.Write(/*with_any=*/true, header.any_port, policy_);
    user_.Write(/*with_any=*/true, header.any_user, policy_);
    // A process has many groups: the kernel joins their entries to any_group.
    group_.Write(/*with_any=*/false, header.any_group, policy_);
    exe_.Write(/*with_any=*/true, header.any_exe, policy_);
    started_as_.Write(/*with_any=*/true, header.any_started_as, policy_);
    WriteDestinations();
    return std::move(policy_);
  }

 private:
  absl::Status AddRuleAt(size_t index, const Rule& rule) {
    postern_policy_header& header = policy_.header;
    policy_.rule_names.push_back(rule.name);
    header.action[index] = static_cast<uint8_t>(rule.action);
    if (rule.action == POSTERN_ACTION_DENY) AddRule(header.deny_rules, index);
    const Reach reach = ReachOf(rule);
    if (reach.in_container) AddRule(header.in_container, index);
    if (reach.outside_container) AddRule(header.outside_container, index);
    if (reach.in_user_namespace) AddRule(header.in_user_namespace, index);

    for (const PortNumber& number : rule.ports) port_.Name({number.port, 0, 0}, index);
    if (rule.ports.empty()) port_.NameNothing(index);
    AddAccounts(rule.users, index, user_);
    AddAccounts(rule.groups, index, group_);
    AddAccounts(rule.started_as, index, started_as_);
    if (rule.exes.empty()) exe_.NameNothing(index);
    for (const BinaryPath& exe : rule.exes) RETURN_IF_ERROR(AddBinary(exe, rule, index));

    if (!rule.names_destination()) AddRule(header.any_destination, index);
    if (rule.destination_local) AddRule(header.local_destination, index);
    for (const Cidr& cidr : rule.destinations) cidrs_.push_back({cidr, index});
    return absl::OkStatus();
  }

  static void AddAccounts(const std::vector<Account>& accounts, size_t index,
                          Dimension& dimension) {
    for (const Account& account : accounts) dimension.Name({account.id, 0, 0}, index);
    if (accounts.empty()) dimension.NameNothing(index);
  }

  absl::Status AddBinary(const BinaryPath& exe, const Rule& rule, size_t index) {
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
    exe_.Name({id->device, id->path.high, id->path.low}, index);
    return absl::OkStatus();
  }

  // The trie answers with the longest prefix alone, so each prefix carries the
  // rules of all that cover it.
  void WriteDestinations() {
    std::map<std::pair<uint32_t, std::array<uint8_t, 16>>, Cidr> prefixes;
    const auto add = [&](const Cidr& cidr) {
      std::array<uint8_t, 16> address;
      std::memcpy(address.data(), cidr.prefix.address, address.size());
      prefixes.emplace(std::make_pair(cidr.prefix.bits, address), cidr);
    };
    for (const NamedCidr& named : cidrs_) add(named.cidr);
    // IPv4 lies within ::/0 in the trie, but is not meant by a rule on IPv6.
    Cidr ipv4;
    ipv4.ipv4 = true;
    ipv4.prefix = {kIpv4Bits, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}};
    Cidr as_ipv6 = ipv4;
    as_ipv6.ipv4 = false;
    for (const NamedCidr& named : cidrs_) {
      if (Covers(named.cidr, as_ipv6)) add(ipv4);
    }
    for (const auto& [key, cidr] : prefixes) {
      postern_rule_set rules = policy_.header.any_destination;
      for (const NamedCidr& named : cidrs_) {
        if (Covers(named.cidr, cidr)) AddRule(rules, named.rule);
      }
      policy_.destinations.emplace_back(cidr.prefix, rules);
    }
  }

  const Config& config_;
  const IdentifyBinary& identify_;
  CompiledPolicy policy_;
  Dimension port_{POSTERN_DIMENSION_PORT};
  Dimension user_{POSTERN_DIMENSION_USER};
  Dimension group_{POSTERN_DIMENSION_GROUP};
  Dimension exe_{POSTERN_DIMENSION_EXE};
  Dimension started_as_{POSTERN_DIMENSION_STARTED_AS};
  std::vector<NamedCidr> cidrs_;
};

}  // namespace

absl::StatusOr<CompiledPolicy> Compile(const Config& config, const IdentifyBinary& identify) {
  return Compilation(config, identify).Run();
}

}  // namespace postern::policy
