// SPDX-License-Identifier: Apache-2.0
#include "agent/coexist/packet_rules.h"

#include "absl/strings/str_cat.h"
#include "agent/coexist/text.h"

namespace postern::coexist {

void PacketRules::Add(PacketRule rule) {
  if (rule.effect == Effect::kNone) return;
  if (rule.effect == Effect::kJumps) {
    Keep(jumps_, std::make_pair(rule.chain, Chain{rule.chain.table, rule.target}));
  }
  if (rule.effect == Effect::kStops || rule.effect == Effect::kRedirects) {
    Keep(deciding_, rule.chain);
  }
  if (!rule.by_port && !rule.by_owner) return;
  // Who passes whatever the port says nothing of mail.
  if (rule.effect == Effect::kPasses && !(rule.by_port && rule.by_owner)) return;
  if (rules_.size() < kMostRules) {
    rules_.push_back(std::move(rule));
  } else {
    passed_over_ = true;
  }
}

std::set<Chain> PacketRules::Reached() const {
  std::set<Chain> reached = ways_out_;
  std::vector<Chain> next(reached.begin(), reached.end());
  while (!next.empty()) {
    const Chain from = next.back();
    next.pop_back();
    for (auto jump = jumps_.lower_bound({from, Chain{}});
         jump != jumps_.end() && !(from < jump->first); ++jump) {
      if (reached.insert(jump->second).second) next.push_back(jump->second);
    }
  }
  return reached;
}

std::string PacketRules::Meaning(const PacketRule& rule) const {
  switch (rule.effect) {
    case Effect::kNone:
      return "";
    case Effect::kStops:
      return rule.by_owner
                 ? "it stops by user what Postern has let pass: an event `allowed` does not mean "
                   "that mail left, and a sender needs both"
                 : "it stops what Postern has let pass: an event `allowed` does not mean that mail "
                   "left";
    case Effect::kRedirects:
      return "it sends the connection elsewhere after Postern has judged: events show where the "
             "program wanted to go";
    case Effect::kPasses:
      return "it passes by user, whatever the program: Postern judges first, so a sender needs "
             "both";
    case Effect::kJumps:
      if (deciding_.count(Chain{rule.chain.table, rule.target}) == 0) return "";
      return absl::StrCat("chain ", Shown(rule.target),
                          " may stop or redirect what Postern has let pass: an event `allowed` "
                          "does not mean that mail left");
  }
  return "";
}

std::vector<std::string> PacketRules::Notes() const {
  const std::set<Chain> reached = Reached();
  std::vector<std::string> notes;
  size_t more = 0;
  for (const PacketRule& rule : rules_) {
    if (reached.count(rule.chain) == 0) continue;
    const std::string meaning = Meaning(rule);
    if (meaning.empty()) continue;
    if (notes.size() >= kShown) {
      ++more;
      continue;
    }
    notes.push_back(absl::StrCat(tool_, " rule in ", Shown(rule.chain.table), " ",
                                 Shown(rule.chain.name), ": `", Shown(rule.text), "`: ", meaning));
  }
  if (more > 0) {
    notes.push_back(absl::StrCat(more, " more ", tool_,
                                 " rules on the way out name mail ports or "
                                 "users; what `allowed` means is said above"));
  }
  if (passed_over_) {
    notes.push_back(absl::StrCat(tool_,
                                 " has more rules than are looked at: some on mail ports "
                                 "may be missing here"));
  }
  return notes;
}

}  // namespace postern::coexist
