// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/resolver.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "agent/policy/binary_trust.h"

namespace postern::policy {
namespace {

class RuleResolver {
 public:
  RuleResolver(const Host& host, Missing missing, Rule& rule, Findings& findings)
      : host_(host),
        leave_out_(missing == Missing::kLeaveOut || rule.built_in),
        rule_(rule),
        findings_(findings) {}

  // False: nothing is left of the rule.
  bool Run() {
    const bool whole = Resolve(rule_, Loss::kAll);
    return Resolve(rule_.excluded, Loss::kAny) && whole;
  }

 private:
  // What the rule cannot go without: of what it names, all entries of a list;
  // of what it excludes any, since it would match more than it did.
  enum class Loss { kAll, kAny };

  // Whether the rule can still say what it said.
  bool Resolve(Criteria& criteria, Loss loss) {
    bool whole = Accounts(criteria.users, loss, "user", &Host::UserId);
    whole = Accounts(criteria.groups, loss, "group", &Host::GroupId) && whole;
    whole = Accounts(criteria.started_as, loss, "user", &Host::UserId) && whole;
    return Binaries(criteria.exes, loss) && whole;
  }

  bool Accounts(std::vector<Account>& accounts, Loss loss, absl::string_view kind,
                absl::StatusOr<uint32_t> (Host::*find)(const std::string&) const) {
    if (accounts.empty()) return true;
    std::vector<Account> kept;
    std::vector<std::string> problems;
    for (Account& account : accounts) {
      if (account.id == Account::kUnresolved) {
        const auto id = (host_.*find)(account.text);
        if (!id.ok()) {
          const std::string problem =
              absl::IsNotFound(id.status())
                  ? absl::StrCat("there is no ", kind, " '", account.text, "' on this host")
                  : absl::StrCat(kind, " '", account.text,
                                 "' cannot be looked up: ", id.status().message());
          if (!leave_out_) {
            Refuse(account.line, problem);
          } else {
            problems.push_back(problem);
            continue;
          }
        } else {
          account.id = *id;
        }
      }
      kept.push_back(std::move(account));
    }
    accounts = std::move(kept);
    return Report(loss == Loss::kAll ? accounts.empty() : !problems.empty(), problems);
  }

  bool Binaries(std::vector<BinaryPath>& exes, Loss loss) {
    if (exes.empty()) return true;
    std::vector<BinaryPath> kept;
    std::vector<std::string> problems;
    for (BinaryPath& exe : exes) {
      const BinaryFinding finding = ExamineBinary(host_, exe.path);
      const std::string problem = absl::StrCat("binary '", exe.path, "' ", finding.problem);
      if (finding.state == BinaryState::kUnseen) {
        findings_.Warn(exe.line, Named(absl::StrCat(problem, "; root can tell")));
      } else if (finding.state != BinaryState::kTrusted) {
        if (leave_out_) {
          problems.push_back(problem);
          continue;
        }
        Refuse(exe.line, problem);
      }
      kept.push_back(std::move(exe));
    }
    exes = std::move(kept);
    return Report(loss == Loss::kAll ? exes.empty() : !problems.empty(), problems);
  }

  bool Report(bool lost, const std::vector<std::string>& problems) {
    // Of a built-in list one entry is meant to be found, not all.
    if (rule_.built_in && !lost) return true;
    for (const std::string& problem : problems) {
      findings_.Note(rule_.line,
                     lost ? absl::StrCat(rule_.built_in ? "built-in rule " : "rule ", rule_.name,
                                         " is left out: ", problem)
                          : absl::StrCat("rule ", rule_.name, " goes without: ", problem));
    }
    return !lost;
  }

  void Refuse(int line, absl::string_view problem) {
    findings_.Fault(line, Named(problem));
    rule_.faulty = true;
  }

  std::string Named(absl::string_view problem) const {
    return absl::StrCat("rule ", rule_.name.empty() ? "without a name" : rule_.name, ": ", problem);
  }

  const Host& host_;
  const bool leave_out_;
  Rule& rule_;
  Findings& findings_;
};

}  // namespace

void ResolveNames(const Host& host, Missing missing, Config& config, Findings& findings) {
  std::vector<Rule> kept;
  for (Rule& rule : config.rules) {
    if (RuleResolver(host, missing, rule, findings).Run()) kept.push_back(std::move(rule));
  }
  config.rules = std::move(kept);
}

}  // namespace postern::policy
