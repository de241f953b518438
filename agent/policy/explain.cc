// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/explain.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/policy/cidr.h"
#include "agent/policy/unit_path.h"
#include "common/address.h"

namespace postern::policy {
namespace {

// Lists in a rule can be long; a reason is one line.
constexpr size_t kShownMax = 4;

template <typename T, typename Text>
std::string OneOf(const std::vector<T>& items, const Text& text) {
  std::vector<std::string> shown;
  for (const T& item : items) {
    if (shown.size() == kShownMax) break;
    shown.push_back(text(item));
  }
  std::string joined = absl::StrJoin(shown, " or ");
  if (items.size() > kShownMax) {
    absl::StrAppend(&joined, " or ", items.size() - kShownMax, " others");
  }
  return joined;
}

std::string OneOf(const std::vector<Account>& accounts) {
  return OneOf(accounts, [](const Account& a) { return a.text; });
}

std::string OneOf(const std::vector<UnitPath>& units) {
  return OneOf(units, [](const UnitPath& unit) { return ToString(unit); });
}

std::string OneOf(const std::vector<ScriptPath>& scripts) {
  return OneOf(scripts, [](const ScriptPath& script) { return script.path; });
}

class Explainer {
 public:
  Explainer(const Subject& subject, const SubjectText& text) : subject_(subject), text_(text) {}

  std::string Why(const Rule& rule, Obstacle obstacle) const {
    switch (obstacle) {
      case Obstacle::kNone:
        break;
      case Obstacle::kPort:
        return Port(rule);
      case Obstacle::kDestination:
        return Destination(rule);
      case Obstacle::kUser:
        return User(rule);
      case Obstacle::kGroup:
        return Group(rule);
      case Obstacle::kExe:
        return Exe(rule);
      case Obstacle::kStartedAs:
        if (!subject_.seen_at_exec) return "its start was not seen, so nothing proves its user";
        return StartedAs(rule);
      case Obstacle::kUnit:
        return Unit(rule);
      case Obstacle::kScript:
        if (!subject_.seen_at_exec) return "its start was not seen, so its script is not known";
        return Script(rule);
      case Obstacle::kContainer:
        if (!subject_.in_container) return "it does not run in a container";
        return "it runs in a container, and the rule does not say 'container: true'";
      case Obstacle::kUserNamespace:
        return "it runs in a user namespace of its own, and the rule does not say "
               "'user_namespace: any'";
    }
    return "it matches";
  }

  // "" where the rule says no redirect, or it is done.
  std::string WhyNotRedirected(const Rule& rule, postern_action done) const {
    if (rule.action != POSTERN_ACTION_REDIRECT || done == POSTERN_ACTION_REDIRECT) return "";
    if (done == POSTERN_ACTION_ALLOW) return ", since it goes to this host already";
    if (subject_.in_network_namespace) {
      return ", since nothing is redirected in a network namespace of its own";
    }
    return ", since its start was not seen: a rule that names no user, group or unit might "
           "redirect the mail server itself";
  }

  // What the answer assumes where the question left something open.
  std::string Assumed(const Rule& rule) const {
    std::string assumed;
    if (!rule.started_as.empty() && !subject_.started_as.has_value()) {
      absl::StrAppend(&assumed, ", if it was started as ", OneOf(rule.started_as));
    }
    const auto suppose = [&](bool known, absl::string_view what, const auto& named,
                             const auto& excluded) {
      if (known) return;
      if (!named.empty()) absl::StrAppend(&assumed, ", if its ", what, " is ", OneOf(named));
      if (!excluded.empty()) {
        absl::StrAppend(&assumed, ", if its ", what, " is not ", OneOf(excluded));
      }
    };
    suppose(subject_.unit.has_value(), "unit", rule.units, rule.excluded.units);
    suppose(subject_.script.has_value(), "script", rule.scripts, rule.excluded.scripts);
    return assumed;
  }

 private:
  static bool Names(const std::vector<Account>& accounts, uint32_t id) {
    return std::any_of(accounts.begin(), accounts.end(),
                       [&](const Account& account) { return account.id == id; });
  }

  static std::string Excluded(absl::string_view what) {
    return absl::StrCat(what, " is excluded by its 'not'");
  }

  std::string Port(const Rule& rule) const {
    const auto number = [](const PortNumber& n) { return std::to_string(n.port); };
    for (const PortNumber& excluded : rule.excluded.ports) {
      if (excluded.port == subject_.port) return Excluded(absl::StrCat("port ", subject_.port));
    }
    return absl::StrCat("port ", subject_.port, " is not ", OneOf(rule.ports, number));
  }

  std::string Group(const Rule& rule) const {
    for (const uint32_t gid : subject_.gids) {
      if (Names(rule.excluded.groups, gid)) return Excluded(absl::StrCat("its group ", gid));
    }
    return absl::StrCat("none of its groups is ", OneOf(rule.groups));
  }

  std::string StartedAs(const Rule& rule) const {
    const uint32_t uid = subject_.started_as.value_or(0);
    const std::string was = absl::StrCat("uid ", uid, ", as which it was started,");
    if (Names(rule.excluded.started_as, uid)) return Excluded(was);
    return absl::StrCat("it was started as uid ", uid, ", not as ", OneOf(rule.started_as));
  }

  std::string Unit(const Rule& rule) const {
    const std::string unit = absl::StrCat("unit ", subject_.unit.value_or(""));
    for (const UnitPath& excluded : rule.excluded.units) {
      if (Contains(excluded, subject_.unit.value_or(""))) return Excluded(unit);
    }
    return absl::StrCat(unit, " is not ", OneOf(rule.units));
  }

  std::string Script(const Rule& rule) const {
    const std::string script = subject_.script.value_or("");
    const std::string name =
        script.empty() ? "what runs no script" : absl::StrCat("script ", script);
    for (const ScriptPath& excluded : rule.excluded.scripts) {
      if (excluded.path == script) return Excluded(name);
    }
    if (rule.scripts.empty()) return absl::StrCat(name, " is too long to be told apart");
    return absl::StrCat(name, " is not ", OneOf(rule.scripts));
  }

  std::string Destination(const Rule& rule) const {
    const bool excluded =
        (rule.excluded.destination_local && subject_.destination_local) ||
        std::any_of(rule.excluded.destinations.begin(), rule.excluded.destinations.end(),
                    [&](const Cidr& cidr) { return Contains(cidr, subject_.destination); });
    if (excluded) return Excluded(FormatAddress(subject_.destination));
    std::vector<std::string> wanted;
    if (rule.destination_local) wanted.push_back("local");
    if (!rule.destinations.empty()) {
      wanted.push_back(
          absl::StrCat("in ", OneOf(rule.destinations, [](const Cidr& c) { return c.text; })));
    }
    return absl::StrCat(FormatAddress(subject_.destination), " is not ",
                        absl::StrJoin(wanted, " or "));
  }

  std::string User(const Rule& rule) const {
    const std::string name =
        text_.user.empty() ? absl::StrCat("uid ", subject_.uid) : absl::StrCat("user ", text_.user);
    for (const uint32_t id : {subject_.uid, subject_.euid}) {
      if (!Names(rule.excluded.users, id)) continue;
      return Excluded(id == subject_.uid ? name : absl::StrCat("effective uid ", id));
    }
    if (subject_.uid == subject_.euid) return absl::StrCat(name, " is not ", OneOf(rule.users));
    return absl::StrCat(name, " with effective uid ", subject_.euid, " is not ",
                        rule.action == POSTERN_ACTION_ALLOW ? "in both " : "", OneOf(rule.users));
  }

  std::string Exe(const Rule& rule) const {
    const std::string name = text_.exe.empty() ? "its binary" : text_.exe;
    if (!subject_.seen_at_exec) {
      return absl::StrCat("its start was not seen, so nothing proves that it runs ", name);
    }
    if (!subject_.exe_trusted) {
      return absl::StrCat(
          name, " ",
          text_.exe_problem.empty() ? "can be written by others than root" : text_.exe_problem,
          ", which proves nothing");
    }
    for (const BinaryPath& excluded : rule.excluded.exes) {
      if (excluded.path == text_.exe) return Excluded(name);
    }
    return absl::StrCat(name, " is not ",
                        OneOf(rule.exes, [](const BinaryPath& exe) { return exe.path; }));
  }

  const Subject& subject_;
  const SubjectText& text_;
};

absl::string_view ActionText(postern_action action) {
  if (action == POSTERN_ACTION_REDIRECT) return "redirect to this host's own mail server";
  return action == POSTERN_ACTION_ALLOW ? "allow" : "deny";
}

}  // namespace

std::vector<std::string> Explain(const Config& config, const Subject& subject,
                                 const SubjectText& text, const Evaluation& evaluation) {
  const Explainer explainer(subject, text);
  std::vector<std::string> lines;
  const size_t before = std::min(evaluation.obstacles.size(), config.rules.size());
  for (size_t i = 0; i < before; ++i) {
    const Rule& rule = config.rules[i];
    lines.push_back(
        absl::StrCat("rule ", rule.name, ": ", explainer.Why(rule, evaluation.obstacles[i])));
  }
  if (evaluation.rule < config.rules.size()) {
    const Rule& rule = config.rules[evaluation.rule];
    const std::string limit =
        rule.limit.has_value() ? absl::StrCat(", up to ", rule.limit->text, " for each user") : "";
    lines.push_back(absl::StrCat("rule ", rule.name, ": matches", explainer.Assumed(rule), ": ",
                                 ActionText(evaluation.action),
                                 explainer.WhyNotRedirected(rule, evaluation.action), limit));
  } else {
    lines.push_back(
        absl::StrCat("no rule matches; the default is ", ActionText(evaluation.action)));
  }
  return lines;
}

}  // namespace postern::policy
