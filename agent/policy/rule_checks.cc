// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/rule_checks.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/policy/shadow.h"

namespace postern::policy {
namespace {

// Entries are memory of the kernel's, up to four generations of them, and what shadows
// what is looked for pair by pair: a check of as many took 0.2 s and 33 MiB here.
constexpr size_t kEntriesMax = 16384;

bool OnlyRoot(const std::vector<Account>& accounts) {
  return !accounts.empty() &&
         std::all_of(accounts.begin(), accounts.end(), [](const Account& a) { return a.id == 0; });
}

std::string Place(const Rule& rule) {
  return rule.line == 0 ? std::string("built in") : absl::StrCat("line ", rule.line);
}

// False where there is too much to go on comparing.
bool CheckCounts(const Config& config, Findings& findings) {
  if (config.rules.size() > POSTERN_RULES) {
    findings.Fault(
        config.rules[POSTERN_RULES].line,
        absl::StrCat("there are ", config.rules.size(), " rules; at most ", POSTERN_RULES,
                     " can be judged by: put users, binaries or "
                     "networks that are treated alike into one rule's lists"));
  }
  size_t entries = 0;
  size_t destinations = 0;
  for (const Rule& rule : config.rules) {
    for (const Criteria* criteria : {static_cast<const Criteria*>(&rule), &rule.excluded}) {
      entries += criteria->users.size() + criteria->groups.size() + criteria->exes.size() +
                 criteria->started_as.size() + criteria->units.size() + criteria->scripts.size() +
                 criteria->ports.size();
      destinations += criteria->destinations.size();
    }
    if (entries > kEntriesMax || destinations > kEntriesMax) {
      findings.Fault(
          rule.line,
          absl::StrCat("the rules up to this one name more than ", kEntriesMax,
                       " users, groups, binaries, scripts and ports, or as many networks; no "
                       "more can be judged by"));
      return false;
    }
  }
  return config.rules.size() <= POSTERN_RULES;
}

void CheckNames(const Config& config, Findings& findings) {
  std::map<std::string, const Rule*> seen;
  for (const Rule& rule : config.rules) {
    if (rule.name.empty()) continue;
    const auto [it, first] = seen.emplace(rule.name, &rule);
    if (!first) {
      findings.Fault(rule.line, absl::StrCat("rule ", rule.name, " has the name of the rule at ",
                                             Place(*it->second),
                                             ": events could not tell them "
                                             "apart"));
    }
  }
}

void CheckPorts(const Config& config, const Rule& rule, const Criteria& criteria,
                Findings& findings) {
  for (const PortNumber& number : criteria.ports) {
    if (std::find(config.ports.begin(), config.ports.end(), number.port) == config.ports.end()) {
      findings.Fault(number.line, absl::StrCat("rule ", rule.name, ": port ", number.port,
                                               " is not among 'ports', so no connection to it is "
                                               "judged: add it there, or leave it out here"));
    }
  }
}

// Whether only somebody other than its users can have started it.
bool StartedByAnother(const Rule& rule) {
  if (OnlyRoot(rule.started_as) || OnlyRoot(rule.users)) return true;
  return !rule.started_as.empty() && !rule.users.empty() &&
         std::none_of(rule.users.begin(), rule.users.end(), [&](const Account& user) {
           return std::any_of(rule.started_as.begin(), rule.started_as.end(),
                              [&](const Account& starter) { return starter.id == user.id; });
         });
}

void CheckScripts(const Rule& rule, Findings& findings) {
  if (rule.action == POSTERN_ACTION_DENY && !rule.scripts.empty()) {
    findings.Warn(rule.line,
                  absl::StrCat("rule ", rule.name,
                               " is easily passed by: it denies only what says that it runs that "
                               "script, not a copy, nor the same by another path; deny by user"));
  }
  if (rule.action != POSTERN_ACTION_ALLOW || StartedByAnother(rule)) return;
  if (!rule.scripts.empty()) {
    findings.Warn(rule.line,
                  absl::StrCat("rule ", rule.name, ": a script is what the command line says; ",
                               rule.users.empty() ? "anybody" : "any program of its user",
                               " can say the same and pass; if another user starts the real one, "
                               "say so: 'started_as'"));
  } else if (!rule.excluded.scripts.empty()) {
    findings.Warn(rule.line, absl::StrCat("rule ", rule.name,
                                          ": the script that its 'not' excludes passes under "
                                          "another path; allow by script instead"));
  }
}

void CheckExclusions(const Config& config, const Rule& rule, Findings& findings) {
  const absl::string_view field = FieldExcludedWhole(rule, config.ports);
  if (field.empty()) return;
  findings.Fault(rule.line,
                 absl::StrCat("rule ", rule.name, " can never match: its 'not' excludes every '",
                              field, "' that it is about"));
}

// SMTP that begins in clear, which any server on this host can speak.
constexpr uint16_t kRedirectedPort = 25;

// Why `port` is not redirected.
absl::string_view WhyNotRedirected(uint16_t port) {
  if (port == 465 || port == 587) {
    return "programs log in there, over TLS, at a provider of which this host's own mail server "
           "has neither the certificate nor the passwords";
  }
  return "this host's own mail server is reached on port 25";
}

void CheckRedirect(const Config& config, size_t index, Findings& findings) {
  const Rule& rule = config.rules[index];
  if (rule.action != POSTERN_ACTION_REDIRECT) return;
  for (const PortNumber& number : rule.ports) {
    if (number.port == kRedirectedPort) continue;
    findings.Fault(number.line,
                   absl::StrCat("rule ", rule.name, ": port ", number.port,
                                " cannot be redirected: ", WhyNotRedirected(number.port),
                                "; leave it out here, and deny or allow it by another "
                                "rule"));
  }
  const auto excluded = [&](uint16_t port) {
    return std::any_of(rule.excluded.ports.begin(), rule.excluded.ports.end(),
                       [&](const PortNumber& number) { return number.port == port; });
  };
  for (const uint16_t port : config.ports) {
    if (!rule.ports.empty() || port == kRedirectedPort || excluded(port)) continue;
    findings.Fault(rule.line,
                   absl::StrCat("rule ", rule.name, " would redirect port ", port,
                                " as well: ", WhyNotRedirected(port), "; write 'port: 25' in it"));
    break;
  }

  const bool server_is_allowed =
      std::any_of(config.rules.begin(), config.rules.begin() + static_cast<std::ptrdiff_t>(index),
                  [](const Rule& earlier) {
                    return earlier.action == POSTERN_ACTION_ALLOW && !earlier.exes.empty();
                  });
  if (!rule.says_who() && !server_is_allowed) {
    findings.Warn(rule.line,
                  absl::StrCat("rule ", rule.name,
                               " redirects everybody, the mail server's own deliveries too, which "
                               "then come back to it: put a rule before it that allows the mail "
                               "server by its 'exe'"));
  }
  if (rule.container.value_or(false)) {
    findings.Warn(rule.line,
                  absl::StrCat("rule ", rule.name,
                               ": a container has, as a rule, a network of its own, where nothing "
                               "is redirected: it will be denied there"));
  }
  if (rule.destination_local && rule.destinations.empty()) {
    findings.Warn(rule.line, absl::StrCat("rule ", rule.name,
                                          " redirects nothing: what goes to this host already is "
                                          "let through as it is"));
  }
}

void CheckWhatItLeavesOpen(const Rule& rule, Findings& findings) {
  if (rule.built_in) return;
  const bool allow = rule.action == POSTERN_ACTION_ALLOW;
  const bool redirect = rule.action == POSTERN_ACTION_REDIRECT;
  if (allow && !rule.exes.empty() && !OnlyRoot(rule.started_as) && !OnlyRoot(rule.users)) {
    findings.Warn(rule.line,
                  absl::StrCat("rule ", rule.name, ": ",
                               rule.users.empty() ? "anybody" : "any program of its user",
                               " can start that binary with a library of its own (LD_PRELOAD) and "
                               "pass; if root starts the real sender, say so: 'started_as: root'"));
  }
  if (allow && !rule.names_identity() && !rule.names_destination()) {
    findings.Warn(rule.line,
                  absl::StrCat("rule ", rule.name, " lets everybody through",
                               rule.excluded.names_nothing() ? "" : " whom it does not exclude",
                               rule.ports.empty() ? "" : " to its ports",
                               ": it names no user, group, binary or destination"));
  }
  if (!allow && (!rule.exes.empty() || !rule.started_as.empty())) {
    findings.Warn(rule.line,
                  absl::StrCat("rule ", rule.name, " is easily passed by: it ",
                               redirect ? "redirects" : "denies",
                               " only what was "
                               "seen to start as named, not a copy under another path; ",
                               redirect ? "redirect" : "deny",
                               " by "
                               "user, or allow by binary and leave the rest to 'default: deny'"));
  }
  if (!rule.exes.empty() && rule.container.value_or(false)) {
    findings.Warn(rule.line,
                  absl::StrCat("rule ", rule.name,
                               ": a container's files stand in a file system "
                               "of its own, so a binary named by its path on this host will hardly "
                               "match there; name the user by number instead"));
  }
}

void CheckShadows(const Config& config, Findings& findings) {
  for (size_t later = 1; later < config.rules.size(); ++later) {
    const Rule& rule = config.rules[later];
    for (size_t earlier = 0; earlier < later; ++earlier) {
      const Rule& cover = config.rules[earlier];
      if (rule.faulty || cover.faulty || !Shadows(cover, rule, config.ports)) continue;
      const std::string message =
          absl::StrCat("rule ", rule.name, " can never match: rule ", cover.name, " (",
                       Place(cover), ") comes first and matches all that it would");
      if (cover.action == rule.action) {
        findings.Warn(rule.line, message);
      } else {
        const bool redirects =
            cover.action == POSTERN_ACTION_REDIRECT || rule.action == POSTERN_ACTION_REDIRECT;
        findings.Fault(rule.line, absl::StrCat(message, ", and does ",
                                               redirects ? "something else" : "the opposite",
                                               ": put the narrower rule first"));
      }
      break;
    }
  }
}

}  // namespace

void CheckRules(const Config& config, Findings& findings) {
  const bool few_enough = CheckCounts(config, findings);
  CheckNames(config, findings);
  for (size_t index = 0; index < config.rules.size(); ++index) {
    const Rule& rule = config.rules[index];
    if (rule.faulty) continue;
    CheckRedirect(config, index, findings);
    CheckPorts(config, rule, rule, findings);
    CheckPorts(config, rule, rule.excluded, findings);
    CheckExclusions(config, rule, findings);
    CheckWhatItLeavesOpen(rule, findings);
    CheckScripts(rule, findings);
  }
  if (few_enough) CheckShadows(config, findings);
}

}  // namespace postern::policy
