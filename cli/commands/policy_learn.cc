// SPDX-License-Identifier: Apache-2.0
// `postern policy learn`: proposes rules from what was recorded.
#include <CLI/CLI.hpp>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/agent_client.h"
#include "cli/command.h"
#include "cli/completeness.h"
#include "cli/event_table.h"
#include "cli/json.h"
#include "cli/proposal.h"
#include "cli/recorded.h"
#include "cli/text.h"
#include "common/status.h"
#include "common/time_text.h"

namespace postern::cli {
namespace {

// What a policy may have (POSTERN_RULES).
constexpr size_t kMostRules = 256;
constexpr size_t kCommentWidth = 90;
// A configuration may have 1 MiB (YamlReader::kMaxFileBytes): half of it is for rules
// and their evidence, a quarter for those who get none.
constexpr size_t kRuleBytes = size_t{512} << 10;
constexpr size_t kRefusalBytes = size_t{256} << 10;
// More are nothing that anybody reads; --json has them all.
constexpr size_t kRefusalsShown = 100;

// A comment of YAML: nothing that the record says may end it.
std::string Ascii(absl::string_view text) {
  std::string ascii;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      ascii += c;
    } else {
      absl::StrAppend(&ascii, absl::StrFormat("\\x%02x", byte));
    }
  }
  return ascii;
}

void AppendComment(std::string& yaml, absl::string_view indent, absl::string_view text) {
  for (const absl::string_view line :
       absl::StrSplit(Wrap(Ascii(text), kCommentWidth - indent.size() - 2, 2), '\n')) {
    absl::StrAppend(&yaml, indent, "# ", line, "\n");
  }
}

struct Finding {
  Applicant applicant;
  std::string why_not;  // "": proposed
  ProposedRule rule;
};

std::string Who(const Applicant& applicant) {
  if (applicant.to_this_host) return "all who speak to this host's own mail server";
  std::string who = absl::StrCat("user ", UserText(applicant.facts), ", ");
  v1::Event shown = applicant.facts;
  shown.clear_script();
  absl::StrAppend(&who, BinaryText(shown));
  return who;
}

std::string Where(const Applicant& applicant) {
  constexpr size_t kShown = 3;
  std::vector<std::string> shown;
  for (const std::string& destination : applicant.destinations) {
    if (shown.size() == kShown) break;
    shown.push_back(destination);
  }
  std::string where = shown.empty() ? "addresses that were not kept" : absl::StrJoin(shown, ", ");
  if (applicant.destinations.size() > shown.size() || applicant.more_destinations) {
    absl::StrAppend(&where, " and ",
                    applicant.more_destinations
                        ? std::string("others")
                        : absl::StrCat(applicant.destinations.size() - shown.size(), " more"));
  }
  return absl::StrCat("to ", where, ", port ", absl::StrJoin(applicant.ports, ", "));
}

class PolicyLearnCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    ASSIGN_OR_RETURN(Endpoint endpoint, AgentAdminEndpoint(agent_));
    ASSIGN_OR_RETURN(const std::unique_ptr<AgentClient> client,
                     AgentClient::Create(std::move(endpoint)));
    ASSIGN_OR_RETURN(const Record record, recorded_.Read(*client, console.now()));
    ASSIGN_OR_RETURN(const v1::ShowPolicyResponse in_force, client->ShowPolicy());
    std::vector<Finding> findings;
    for (Applicant& applicant : ApplicantsOf(record.senders)) {
      std::string why_not = WhyNotProven(applicant);
      findings.push_back({std::move(applicant), std::move(why_not), {}});
    }
    RETURN_IF_ERROR(ExamineBinaries(*client, findings));
    const std::string rules = ProposeRules(findings);
    const std::string yaml = Yaml(record, in_force, rules, findings);
    RETURN_IF_ERROR(Check(*client, yaml));
    if (json_) {
      PrintJson(console, record, findings);
    } else {
      console.out << yaml;
    }
    const bool whole = record.completeness.complete() && record.senders.left_out() == 0;
    return whole ? ExitCode::kAnswered : ExitCode::kIncomplete;
  }

  std::string agent_;
  RecordedOptions recorded_;
  bool json_ = false;

 private:
  static absl::Status ExamineBinaries(AgentClient& client, std::vector<Finding>& findings) {
    std::vector<std::string> paths;
    std::vector<Finding*> asked;
    for (Finding& finding : findings) {
      if (!finding.why_not.empty() || finding.applicant.to_this_host) continue;
      paths.push_back(finding.applicant.facts.exe());
      asked.push_back(&finding);
    }
    if (paths.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const v1::ExamineBinariesResponse examined, client.ExamineBinaries(paths));
    for (size_t i = 0; i < asked.size(); ++i) {
      // No word on it proves nothing.
      const bool answered = i < static_cast<size_t>(examined.binaries_size());
      if (answered && examined.binaries(static_cast<int>(i)).trusted()) continue;
      asked[i]->why_not =
          absl::StrCat("its binary ", answered ? examined.binaries(static_cast<int>(i)).problem()
                                               : "was not examined");
    }
    return absl::OkStatus();
  }

  // By the agent, as --check-config would.
  static absl::Status Check(AgentClient& client, const std::string& yaml) {
    v1::PolicyText text;
    text.set_file("the proposal");
    text.set_text(yaml);
    std::vector<v1::Judgement> none;
    ASSIGN_OR_RETURN(const v1::CheckedPolicy checked, client.WouldPolicy(text, {}, none));
    if (checked.accepted()) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("the agent refuses what would be proposed: ",
                                            absl::StrJoin(checked.findings(), "; ")));
  }

  static void AppendEvidence(std::string& yaml, const Applicant& applicant) {
    AppendComment(yaml, "    ",
                  absl::StrCat(Count(applicant.attempts, "attempt"), " by ", Who(applicant), ", ",
                               Where(applicant)));
    AppendComment(yaml, "    ",
                  absl::StrCat("first ", FormatShortTime(applicant.first_ns, Zone::kUtc), ", last ",
                               FormatShortTime(applicant.last_ns, Zone::kUtc), " UTC"));
    std::vector<std::string> so_far;
    for (const auto& [what, attempts] : applicant.so_far) {
      so_far.push_back(absl::StrCat(attempts, " ", what));
    }
    AppendComment(yaml, "    ", absl::StrCat("so far: ", absl::StrJoin(so_far, ", ")));
    if (!applicant.scripts.empty()) {
      AppendComment(yaml, "    ",
                    absl::StrCat("scripts: ", absl::StrJoin(applicant.scripts, ", ")));
    }
  }

  static std::string RuleYaml(const Finding& finding) {
    std::string yaml = absl::StrCat("  - name: ", finding.rule.name, "\n");
    AppendEvidence(yaml, finding.applicant);
    if (!finding.applicant.to_this_host) {
      AppendComment(yaml, "    ", "nobody but root can replace that binary");
    }
    if (!finding.rule.warning.empty()) AppendComment(yaml, "    ", finding.rule.warning);
    for (const auto& [name, value] : finding.rule.fields) {
      absl::StrAppend(&yaml, "    ", name, ": ", value, "\n");
    }
    return yaml;
  }

  // The rules as YAML, and in their findings; where a policy has no room for one, why not.
  static std::string ProposeRules(std::vector<Finding>& findings) {
    std::string yaml;
    size_t proposed = 0;
    std::set<std::string> taken;
    for (Finding& finding : findings) {
      if (!finding.why_not.empty()) continue;
      if (proposed == kMostRules) {
        finding.why_not = absl::StrCat("a policy has at most ", kMostRules, " rules");
        continue;
      }
      finding.rule = Propose(finding.applicant, taken);
      const std::string rule = RuleYaml(finding);
      if (yaml.size() + rule.size() > kRuleBytes) {
        finding.why_not = "the configuration would be too large with it";
        continue;
      }
      yaml += rule;
      ++proposed;
    }
    return yaml;
  }

  // Who gets no rule, and why: the most frequent in full, of the others their number.
  static std::string Refusals(const std::vector<Finding>& findings) {
    std::string yaml;
    size_t shown = 0;
    size_t others = 0;
    uint64_t attempts_of_others = 0;
    for (const Finding& finding : findings) {
      if (finding.why_not.empty()) continue;
      std::string refusal;
      if (shown < kRefusalsShown) {
        AppendComment(refusal, "  ", absl::StrCat("no rule: ", finding.why_not));
        AppendEvidence(refusal, finding.applicant);
      }
      if (refusal.empty() || yaml.size() + refusal.size() > kRefusalBytes) {
        ++others;
        attempts_of_others += finding.applicant.attempts;
        continue;
      }
      yaml += refusal;
      ++shown;
    }
    if (others > 0) {
      AppendComment(yaml, "  ",
                    absl::StrCat("no rule: ", Count(others, "more sender"), " with ",
                                 Count(attempts_of_others, "attempt"),
                                 "; postern policy learn --json shows each"));
    }
    return yaml;
  }

  static std::string Yaml(const Record& record, const v1::ShowPolicyResponse& in_force,
                          const std::string& rules, const std::vector<Finding>& findings) {
    std::string yaml;
    AppendComment(yaml, "",
                  absl::StrCat("Proposed by postern policy learn. ", Heading(record, Zone::kUtc),
                               ": ", Count(record.senders.attempts(), "attempt")));
    AppendComment(yaml, "",
                  record.completeness.complete()
                      ? "The record is complete for this time."
                      : "The record is NOT complete for this time; postern policy would says why.");
    if (record.senders.left_out() > 0) {
      AppendComment(yaml, "",
                    absl::StrCat(Count(record.senders.left_out(), "attempt"),
                                 " of too many different senders were not gone through."));
    }
    AppendComment(yaml, "",
                  "That somebody sent does not say that he should: read each rule before you take "
                  "it over.");
    std::set<uint32_t> ports(in_force.ports().begin(), in_force.ports().end());
    for (const Finding& finding : findings) {
      ports.insert(finding.applicant.ports.begin(), finding.applicant.ports.end());
    }
    absl::StrAppend(&yaml, "ports: [", absl::StrJoin(ports, ", "), "]\n");
    absl::StrAppend(&yaml, rules.empty() ? "rules: []\n" : "rules:\n", rules, Refusals(findings),
                    "default: deny\n");
    return yaml;
  }

  static void PrintJson(Console& console, const Record& record,
                        const std::vector<Finding>& findings) {
    for (const Finding& finding : findings) {
      const Applicant& applicant = finding.applicant;
      Json json = Json::object();
      json["kind"] = "proposal";
      json["proposed"] = finding.why_not.empty();
      SetText(json, "why_not", finding.why_not);
      SetText(json, "warning", finding.rule.warning);
      if (finding.why_not.empty()) {
        Json& rule = json["rule"] = Json::object();
        rule["name"] = finding.rule.name;
        for (const auto& [name, value] : finding.rule.fields) rule[name] = value;
      }
      json["to_this_host"] = applicant.to_this_host;
      SetText(json, "user", applicant.facts.user());
      if (applicant.facts.has_uid()) json["uid"] = applicant.facts.uid();
      SetText(json, "exe", applicant.facts.exe());
      Json& scripts = json["scripts"] = Json::array();
      for (const std::string& script : applicant.scripts) scripts.push_back(script);
      Json& ports = json["ports"] = Json::array();
      for (const uint32_t port : applicant.ports) ports.push_back(port);
      Json& destinations = json["destinations"] = Json::array();
      for (const std::string& address : applicant.destinations) destinations.push_back(address);
      json["more_destinations"] = applicant.more_destinations;
      json["count"] = applicant.attempts;
      SetTime(json, "first", applicant.first_ns);
      SetTime(json, "last", applicant.last_ns);
      Json& so_far = json["so_far"] = Json::object();
      for (const auto& [what, attempts] : applicant.so_far) so_far[what] = attempts;
      WriteJson(console.out, json);
    }
    Json json = Json::object();
    json["kind"] = "learn";
    json["host"] = record.host;
    json["source"] = record.source;
    SetTime(json, "since", record.since_ns);
    json["attempts"] = record.senders.attempts();
    json["left_out"] = record.senders.left_out();
    WriteJson(console.out, json);
    WriteJson(console.out, CompletenessJson(record.completeness));
  }
};

}  // namespace

std::unique_ptr<Command> AddPolicyLearnCommand(CLI::App& policy) {
  auto command = std::make_unique<PolicyLearnCommand>();
  command->app = policy.add_subcommand("learn", "Propose rules from what was recorded");
  command->recorded_.AddTo(*command->app);
  AddAgentOption(*command->app, command->agent_, kAgentAdminSocket);
  AddJsonOption(*command->app, command->json_);
  command->app->footer(
      "Needs root. Writes YAML that posternd --check-config accepts: a rule for each\n"
      "sender whose binary nobody but root can replace, with its evidence; for others,\n"
      "interpreters among them, a comment that says why there is none. From the\n"
      "collector, or the agent's spool where it has none. Exit code 3: the record is\n"
      "not complete.\n\n"
      "Examples:\n"
      "  postern policy learn --since 7d > proposal.yaml\n"
      "  postern policy would --file proposal.yaml");
  return command;
}

}  // namespace postern::cli
