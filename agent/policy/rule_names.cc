// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/rule_names.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bpf/abi/event.h"
#include "bpf/abi/policy.h"
#include "common/atomic_file.h"
#include "common/small_file.h"

namespace postern::policy {
namespace {

// kGenerations of POSTERN_RULES names of 64 bytes fit.
constexpr size_t kBytesMax = 2 << 20;
constexpr absl::string_view kFirstLine = "postern rule names 1";

}  // namespace

RuleNames::RuleNames(const std::string& state_dir, const std::string& boot)
    : path_(absl::StrCat(state_dir, "/rule-names")), boot_(boot) {
  if (const auto text = ReadSmallFile(path_, kBytesMax, Links::kRefuse); text.ok()) {
    generations_ = Parse(*text, boot_);
  }
}

// Grammar: docs/policy.md, "Files that the agent keeps".
RuleNames::Generations RuleNames::Parse(absl::string_view text, absl::string_view boot) {
  Generations generations;
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  if (lines.size() < 2 || lines[0] != kFirstLine || lines[1] != absl::StrCat("boot ", boot)) {
    return generations;
  }
  for (size_t i = 2; i < lines.size(); ++i) {
    const std::vector<std::string> words = absl::StrSplit(lines[i], ' ', absl::SkipEmpty());
    uint32_t generation = 0;
    if (words.size() < 2 || words.size() > 2 + POSTERN_RULES || words[0] != "generation" ||
        !absl::SimpleAtoi(words[1], &generation) || generations.size() == kGenerations) {
      continue;
    }
    generations[generation] = {words.begin() + 2, words.end()};
  }
  return generations;
}

std::string RuleNames::Format() const {
  std::string text = absl::StrCat(kFirstLine, "\nboot ", boot_, "\n");
  for (const auto& [generation, names] : generations_) {
    absl::StrAppend(&text, "generation ", generation);
    for (const std::string& name : names) absl::StrAppend(&text, " ", name);
    text.push_back('\n');
  }
  return text;
}

absl::Status RuleNames::Set(uint32_t generation, const std::vector<std::string>& names) {
  const MutexLock lock(&mutex_);
  // Pins that were taken down count from 1 again: what lies ahead is of before.
  generations_.erase(generations_.lower_bound(generation), generations_.end());
  generations_[generation] = names;
  while (generations_.size() > kGenerations) generations_.erase(generations_.begin());
  return WriteFileAtomically(path_, Format());
}

std::string RuleNames::Name(uint32_t generation, uint16_t rule) const {
  if (rule == POSTERN_RULE_DEFAULT) return "default";
  const MutexLock lock(&mutex_);
  const auto found = generations_.find(generation);
  if (found != generations_.end() && rule < found->second.size()) return found->second[rule];
  return absl::StrCat("#", rule);
}

}  // namespace postern::policy
