// SPDX-License-Identifier: Apache-2.0
// What `nft -n -s list ruleset` prints: text, a rule a line. Its JSON says the same,
// but has to be held in memory whole, sets of a hundred thousand addresses with it.
#ifndef POSTERN_AGENT_COEXIST_NFTABLES_H_
#define POSTERN_AGENT_COEXIST_NFTABLES_H_

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/coexist/packet_rules.h"
#include "agent/coexist/text.h"

namespace postern::coexist {

class NftListing {
 public:
  // `listed`: chains that another listing has shown already.
  NftListing(const Ports& ports, std::set<Chain> listed, PacketRules* rules)
      : ports_(ports), listed_(std::move(listed)), rules_(*rules) {}

  void AddLine(absl::string_view line);

 private:
  enum class Block { kTable, kChain, kSet, kOther };
  static constexpr size_t kMostSets = 4096;

  void Open(const std::vector<std::string>& words);
  void AddToSet(absl::string_view line);
  void AddToChain(const std::vector<std::string>& words);
  bool NamesPort(absl::string_view value) const;

  const Ports& ports_;
  const std::set<Chain> listed_;
  PacketRules& rules_;
  std::vector<Block> blocks_;  // from the outermost
  Chain chain_;
  std::string set_;
  bool in_elements_ = false;
  // "TABLE NAME" of sets and maps with one of the ports; of those that stop.
  std::set<std::string> sets_with_port_;
  std::set<std::string> maps_that_stop_;
};

}  // namespace postern::coexist

#endif  // POSTERN_AGENT_COEXIST_NFTABLES_H_
