// SPDX-License-Identifier: Apache-2.0
// Rules of a packet filter that reach connections to mail ports on their way out.
// They run after Postern: a connect that it denied has made no packet.
#ifndef POSTERN_AGENT_COEXIST_PACKET_RULES_H_
#define POSTERN_AGENT_COEXIST_PACKET_RULES_H_

#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace postern::coexist {

enum class Effect {
  kNone,
  kStops,      // drops or rejects
  kRedirects,  // to another address or port
  kPasses,     // accepts, or leaves the chain
  kJumps       // another chain decides
};

struct Chain {
  std::string table;  // with its family: "ip filter"
  std::string name;

  bool operator<(const Chain& other) const {
    return std::tie(table, name) < std::tie(other.table, other.name);
  }
};

struct PacketRule {
  Chain chain;
  std::string text;  // as its tool writes it
  Effect effect = Effect::kNone;
  std::string target;     // of kJumps: the chain's name
  bool by_owner = false;  // looks at user or group of the sender
  bool by_port = false;   // looks at ports, and one of those watched is among them
};

// One listing. However long that is, what is kept of it is bounded.
class PacketRules {
 public:
  // `tool`: how a note calls it.
  explicit PacketRules(std::string tool) : tool_(std::move(tool)) {}

  // A chain that packets of this host's processes pass by themselves.
  void AddWayOut(Chain chain) { Keep(ways_out_, std::move(chain)); }
  void Add(PacketRule rule);

  // A line each for rules on the way out: what it is, where, and what it means
  // together with Postern.
  std::vector<std::string> Notes() const;

 private:
  template <typename Set, typename Value>
  void Keep(Set& set, Value value) {
    if (set.size() < kMost) {
      set.insert(std::move(value));
    } else {
      passed_over_ = true;
    }
  }
  std::set<Chain> Reached() const;
  // "" where that is of no concern.
  std::string Meaning(const PacketRule& rule) const;

  static constexpr size_t kMost = 4096;
  static constexpr size_t kMostRules = 512;
  static constexpr size_t kShown = 8;

  const std::string tool_;
  std::set<Chain> ways_out_;
  std::set<std::pair<Chain, Chain>> jumps_;
  std::set<Chain> deciding_;  // have a rule that stops or redirects
  std::vector<PacketRule> rules_;
  bool passed_over_ = false;
};

}  // namespace postern::coexist

#endif  // POSTERN_AGENT_COEXIST_PACKET_RULES_H_
