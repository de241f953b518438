// SPDX-License-Identifier: Apache-2.0
// Sets of rules as bits, in user space.
#ifndef POSTERN_AGENT_POLICY_RULE_SET_H_
#define POSTERN_AGENT_POLICY_RULE_SET_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "bpf/abi/policy.h"

namespace postern::policy {

inline void AddRule(postern_rule_set& set, size_t rule) {
  set.word[rule / 64] |= uint64_t{1} << (rule % 64);
}

inline bool HasRule(const postern_rule_set& set, size_t rule) {
  return (set.word[rule / 64] >> (rule % 64) & 1) != 0;
}

inline postern_rule_set operator|(postern_rule_set a, const postern_rule_set& b) {
  for (size_t i = 0; i < POSTERN_RULE_WORDS; ++i) a.word[i] |= b.word[i];
  return a;
}

inline postern_rule_set operator&(postern_rule_set a, const postern_rule_set& b) {
  for (size_t i = 0; i < POSTERN_RULE_WORDS; ++i) a.word[i] &= b.word[i];
  return a;
}

inline postern_rule_set operator-(postern_rule_set a, const postern_rule_set& b) {
  for (size_t i = 0; i < POSTERN_RULE_WORDS; ++i) a.word[i] &= ~b.word[i];
  return a;
}

inline postern_rule_set AllRules() {
  postern_rule_set set;
  for (auto& word : set.word) word = ~uint64_t{0};
  return set;
}

// POSTERN_RULES when the set is empty.
inline size_t LowestRule(const postern_rule_set& set) {
  for (size_t i = 0; i < POSTERN_RULE_WORDS; ++i) {
    const uint64_t word = set.word[i];
    if (word != 0) return i * 64 + static_cast<size_t>(std::countr_zero(word));
  }
  return POSTERN_RULES;
}

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_RULE_SET_H_
