// SPDX-License-Identifier: Apache-2.0
// What iptables-save(8) and ip6tables-save(8) print, and rules written as they do.
#ifndef POSTERN_AGENT_COEXIST_IPTABLES_H_
#define POSTERN_AGENT_COEXIST_IPTABLES_H_

#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/coexist/packet_rules.h"
#include "agent/coexist/text.h"

namespace postern::coexist {

// `words`: what follows the chain of `-A CHAIN`.
PacketRule ReadIptablesRule(const Ports& ports, Chain chain, const std::vector<std::string>& words);

// OUTPUT and POSTROUTING: what a process of this host sends passes them.
bool IsWayOut(absl::string_view chain);

class IptablesListing {
 public:
  // `family`: ip or ip6.
  IptablesListing(const Ports& ports, std::string family, PacketRules* rules)
      : ports_(ports), family_(std::move(family)), rules_(*rules) {}

  void AddLine(absl::string_view line);

  // Chains that nft lists too, because they live in nf_tables.
  const std::set<Chain>& in_nf_tables() const { return in_nf_tables_; }

 private:
  static constexpr size_t kMostChains = 4096;

  const Ports& ports_;
  const std::string family_;
  PacketRules& rules_;
  std::string table_;
  bool nf_tables_ = false;
  std::set<Chain> in_nf_tables_;
};

}  // namespace postern::coexist

#endif  // POSTERN_AGENT_COEXIST_IPTABLES_H_
