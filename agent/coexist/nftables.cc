// SPDX-License-Identifier: Apache-2.0
#include "agent/coexist/nftables.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace postern::coexist {
namespace {

// The value that begins at words[at]: `{ 25, 465 }` is one.
std::string ValueAt(const std::vector<std::string>& words, size_t at) {
  if (at >= words.size()) return "";
  if (words[at] != "{") return words[at];
  std::string value;
  for (; at < words.size(); ++at) {
    absl::StrAppend(&value, value.empty() ? "" : " ", words[at]);
    if (words[at] == "}") break;
  }
  return value;
}

bool HasStop(const std::vector<std::string>& words) {
  return std::any_of(words.begin(), words.end(), [](absl::string_view word) {
    absl::ConsumeSuffix(&word, ",");
    return word == "drop" || word == "reject";
  });
}

}  // namespace

void NftListing::AddLine(absl::string_view line) {
  const std::vector<std::string> words = Words(line);
  if (words.empty() || words[0][0] == '#') return;
  const Block block = blocks_.empty() ? Block::kOther : blocks_.back();
  // Elements open and close a brace of their own within their lines.
  if (block == Block::kSet && (in_elements_ || words[0] == "elements")) {
    AddToSet(line);
    return;
  }
  if (words[0] == "}") {
    if (!blocks_.empty()) blocks_.pop_back();
    return;
  }
  if (words.back() == "{" && (blocks_.empty() || block == Block::kTable || words.size() <= 3)) {
    Open(words);
    return;
  }
  if (block == Block::kChain) AddToChain(words);
}

void NftListing::Open(const std::vector<std::string>& words) {
  // table inet NAME {, chain NAME {, set NAME {; map, flowtable, ct helper, …
  if (words[0] == "table" && words.size() == 4) {
    chain_ = Chain{absl::StrCat(words[1], " ", words[2]), ""};
    blocks_.push_back(Block::kTable);
  } else if (words[0] == "chain" && words.size() == 3) {
    chain_.name = words[1];
    blocks_.push_back(Block::kChain);
  } else if ((words[0] == "set" || words[0] == "map") && words.size() == 3) {
    set_ = absl::StrCat(chain_.table, " @", words[1]);
    blocks_.push_back(Block::kSet);
  } else {
    blocks_.push_back(Block::kOther);
  }
}

void NftListing::AddToSet(absl::string_view line) {
  in_elements_ = !absl::StrContains(line, "}");
  const size_t elements = line.find('{');
  if (elements != absl::string_view::npos) line.remove_prefix(elements + 1);
  if (NamesOneOf(ports_, line) && sets_with_port_.size() < kMostSets) sets_with_port_.insert(set_);
  if (HasStop(Words(line)) && maps_that_stop_.size() < kMostSets) maps_that_stop_.insert(set_);
}

bool NftListing::NamesPort(absl::string_view value) const {
  if (absl::StartsWith(value, "@")) {
    return sets_with_port_.count(absl::StrCat(chain_.table, " ", value)) > 0;
  }
  return NamesOneOf(ports_, value);
}

void NftListing::AddToChain(const std::vector<std::string>& words) {
  if (listed_.count(chain_) > 0) return;
  if (words[0] == "type") {
    // type filter hook output priority 0; policy accept;
    for (size_t i = 0; i + 1 < words.size(); ++i) {
      const std::string& hook = words[i + 1];
      if (words[i] != "hook") continue;
      if (hook == "output" || hook == "postrouting" || hook == "egress") rules_.AddWayOut(chain_);
    }
    return;
  }
  PacketRule rule;
  rule.chain = chain_;
  rule.text = absl::StrJoin(words, " ");
  bool other_ports = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const std::string next = i + 1 < words.size() ? words[i + 1] : "";
    if (word == "dport") {
      const std::string& protocol = i > 0 ? words[i - 1] : word;
      const bool map = next == "vmap" || next == "map";
      const bool negated = next == "!=";
      const std::string value = ValueAt(words, map || negated ? i + 2 : i + 1);
      const bool ours = (protocol == "tcp" || protocol == "th") &&
                        (negated && !absl::StartsWith(value, "@") ? LeavesOneOf(ports_, value)
                         : negated                                ? !NamesPort(value)
                                                                  : NamesPort(value));
      (ours ? rule.by_port : other_ports) = true;
      if (next == "vmap" && (HasStop(Words(value)) ||
                             maps_that_stop_.count(absl::StrCat(chain_.table, " ", value)))) {
        rule.effect = Effect::kStops;
      }
    } else if (word == "skuid" || word == "skgid") {
      rule.by_owner = true;
    } else if (rule.effect != Effect::kNone) {
      continue;
    } else if (word == "drop" || word == "reject") {
      rule.effect = Effect::kStops;
    } else if (word == "redirect" || word == "dnat" || word == "tproxy") {
      rule.effect = Effect::kRedirects;
    } else if (word == "accept" || word == "return") {
      rule.effect = Effect::kPasses;
    } else if (word == "jump" || word == "goto") {
      rule.effect = Effect::kJumps;
      rule.target = next;
    }
  }
  if (other_ports) rule.effect = Effect::kNone;
  rules_.Add(std::move(rule));
}

}  // namespace postern::coexist
