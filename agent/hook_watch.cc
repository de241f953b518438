// SPDX-License-Identifier: Apache-2.0
#include "agent/hook_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/log.h"

namespace postern::agent {
namespace {

using sensor::HookState;
using sensor::OtherProgram;

// Without it an attempt goes unjudged or its sender unknown; what else is missing
// is shown and no problem.
bool IsEssential(const HookState& hook) {
  if (!hook.supported) return false;
  for (const absl::string_view essential :
       {"connect4", "connect6", "exec", "fork", "exit", "sock_create"}) {
    if (hook.name == essential) return true;
  }
  return false;
}

// Policies that outlived their agent, or whose agent changed its `bpffs:`: they go
// on denying, and nobody reads what they record. One line a pin folder.
std::vector<std::string> Orphans(const std::vector<HookState>& hooks) {
  std::map<std::string, std::vector<std::string>> programs;  // by pin folder
  for (const HookState& hook : hooks) {
    for (const OtherProgram& other : hook.others) {
      if (!other.is_postern || other.has_agent) continue;
      programs[other.pin_folder].push_back(
          absl::StrCat("program ", other.id, " (", other.name, ") on ", hook.name));
    }
  }
  std::vector<std::string> lines;
  for (const auto& [folder, names] : programs) {
    lines.push_back(absl::StrCat(
        "an earlier agent's policy judges beside this one, and what it denies stays denied: ",
        absl::StrJoin(names, ", "),
        folder.empty()
            ? "; no bpffs that is mounted here has its pins: end it with `bpftool link detach`, "
              "by the number that `bpftool link` shows"
            : absl::StrCat(", pinned in ", folder,
                           "; take it down by `posternd --release --config FILE`, with a FILE "
                           "that says `bpffs: ",
                           folder, "`")));
  }
  return lines;
}

// Who has the last word, where it is not us.
std::vector<std::string> LaterOnes(const std::vector<HookState>& hooks) {
  std::vector<std::string> lines;
  for (const HookState& hook : hooks) {
    for (const OtherProgram& other : hook.others) {
      if (!other.runs_after || other.is_postern) continue;
      lines.push_back(absl::StrCat("program ", other.id, " (", other.name, ") runs after ours on ",
                                   hook.name, ": it could let pass what is denied"));
    }
  }
  return lines;
}

}  // namespace

void HookWatch::Look() {
  hooks_ = sensor_.Hooks();
  TellOfLostAndFound();
  TellOfOthers();
}

void HookWatch::TellOfLostAndFound() {
  for (const HookState& hook : hooks_) {
    // What was never attached is in the status; it is no change.
    const auto [known, first] = attached_.try_emplace(hook.name, hook.attached);
    if (first || known->second == hook.attached) continue;
    known->second = hook.attached;
    const std::string message =
        hook.attached ? absl::StrCat("hook ", hook.name, " is attached again")
                      : absl::StrCat("hook ", hook.name, " is not attached any more: ",
                                     hook.reason.empty() ? "restart posternd" : hook.reason);
    Log(hook.attached ? LogLevel::kInfo : LogLevel::kError, message);
    record_(message);
  }
}

void HookWatch::TellOfOthers() {
  std::set<std::string> now;
  for (const auto& lines : {Orphans(hooks_), LaterOnes(hooks_)})
    now.insert(lines.begin(), lines.end());
  for (const std::string& line : now) {
    if (told_.count(line) > 0) continue;
    LogWarning("%s", line);
    record_(line);
  }
  told_ = std::move(now);
}

std::vector<std::string> HookWatch::Problems() const {
  std::vector<std::string> problems;
  for (const HookState& hook : hooks_) {
    if (!hook.attached && IsEssential(hook)) {
      problems.push_back(absl::StrCat("hook ", hook.name, " is not attached: ", hook.reason));
    }
  }
  for (std::string& line : Orphans(hooks_)) problems.push_back(std::move(line));
  return problems;
}

}  // namespace postern::agent
