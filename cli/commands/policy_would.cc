// SPDX-License-Identifier: Apache-2.0
// `postern policy would`: what another policy would change of what was recorded.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/agent_client.h"
#include "cli/command.h"
#include "cli/completeness.h"
#include "cli/event_table.h"
#include "cli/json.h"
#include "cli/recorded.h"
#include "cli/table.h"
#include "cli/text.h"
#include "common/event_json.h"
#include "common/small_file.h"
#include "common/status.h"
#include "common/time_text.h"

namespace postern::cli {
namespace {

// What the agent takes for a configuration (YamlReader::kMaxFileBytes).
constexpr size_t kLargestFile = size_t{1} << 20;

// Whatever of a sender is shown, what became of it and what would.
struct Change {
  v1::Event facts;
  v1::Judgement judgement;
  uint64_t attempts = 0;
  uint64_t last_ns = 0;
};

struct Outcome {
  std::vector<Change> changes;              // most attempts first
  std::map<std::string, uint64_t> unknown;  // attempts by why
  uint64_t changed = 0;
  uint64_t unjudged = 0;
  uint64_t within_limit = 0;
};

// "" where the port is not watched.
std::string RulesText(const v1::Judgement& judgement) {
  return absl::StrJoin(judgement.rules(), " or ");
}

std::string VerdictText(v1::Event::Verdict verdict, const std::string& rule) {
  const std::string name =
      verdict == v1::Event::VERDICT_UNSPECIFIED ? "not judged" : VerdictName(verdict);
  return rule.empty() ? name : absl::StrCat(name, " (", rule, ")");
}

bool IsChange(const v1::Event& facts, const v1::Judgement& judgement) {
  return facts.verdict() != judgement.verdict() || facts.rule() != RulesText(judgement);
}

Outcome Sum(const RecordedSenders& senders, const std::vector<v1::Judgement>& judgements) {
  Outcome outcome;
  using Key = std::tuple<std::string, std::string, std::string, int, std::string, int, std::string>;
  std::map<Key, size_t> rows;
  for (size_t i = 0; i < senders.senders().size(); ++i) {
    const RecordedSender& sender = senders.senders()[i];
    const v1::Judgement& judgement = judgements[i];
    if (!judgement.unknown().empty()) {
      outcome.unknown[judgement.unknown()] += sender.attempts;
      outcome.unjudged += sender.attempts;
      continue;
    }
    if (judgement.within_limit()) outcome.within_limit += sender.attempts;
    if (!IsChange(sender.facts, judgement)) continue;
    outcome.changed += sender.attempts;
    const Key key = {UserText(sender.facts),        BinaryText(sender.facts),
                     DestinationText(sender.facts), sender.facts.verdict(),
                     sender.facts.rule(),           judgement.verdict(),
                     RulesText(judgement)};
    const auto [row, is_new] = rows.try_emplace(key, outcome.changes.size());
    if (is_new) outcome.changes.push_back({.facts = sender.facts, .judgement = judgement});
    Change& change = outcome.changes[row->second];
    change.attempts += sender.attempts;
    change.last_ns = std::max(change.last_ns, sender.last_ns);
  }
  if (senders.left_out() > 0) {
    outcome.unknown["too many different senders to go through"] += senders.left_out();
    outcome.unjudged += senders.left_out();
  }
  std::stable_sort(outcome.changes.begin(), outcome.changes.end(),
                   [](const Change& a, const Change& b) { return a.attempts > b.attempts; });
  return outcome;
}

class PolicyWouldCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    ASSIGN_OR_RETURN(Endpoint endpoint, AgentAdminEndpoint(agent_));
    v1::PolicyText text;
    text.set_file(file_);
    ASSIGN_OR_RETURN(*text.mutable_text(), ReadFile());
    ASSIGN_OR_RETURN(const std::unique_ptr<AgentClient> client,
                     AgentClient::Create(std::move(endpoint)));
    ASSIGN_OR_RETURN(const Record record, recorded_.Read(*client, console.now()));
    std::vector<const v1::Event*> facts;
    for (const RecordedSender& sender : record.senders.senders()) facts.push_back(&sender.facts);
    std::vector<v1::Judgement> judgements;
    ASSIGN_OR_RETURN(const v1::CheckedPolicy checked, client->WouldPolicy(text, facts, judgements));
    if (!checked.accepted()) return Refused(console, checked);
    const Outcome outcome = Sum(record.senders, judgements);
    if (json_) {
      PrintJson(console, record, checked, outcome);
    } else {
      Print(console, record, checked, outcome);
    }
    const bool whole = record.completeness.complete() && outcome.unjudged == 0;
    return whole ? ExitCode::kAnswered : ExitCode::kIncomplete;
  }

  std::string agent_;
  std::string file_;
  RecordedOptions recorded_;
  bool json_ = false;
  bool local_ = false;

 private:
  absl::StatusOr<std::string> ReadFile() const {
    absl::StatusOr<std::string> text = ReadSmallFile(file_, kLargestFile, Links::kFollow);
    if (text.ok()) return text;
    return absl::InvalidArgumentError(
        absl::StrCat("--file: ", file_, " ", text.status().message()));
  }

  ExitCode Refused(Console& console, const v1::CheckedPolicy& checked) const {
    if (json_) {
      Json json = Json::object();
      json["kind"] = "would";
      json["accepted"] = false;
      AddFindings(checked, json);
      WriteJson(console.out, json);
      return ExitCode::kError;
    }
    PrintFindings(console, checked);
    console.out << Printable(file_) << " is refused, so nothing would change.\n";
    return ExitCode::kError;
  }

  static void AddFindings(const v1::CheckedPolicy& checked, Json& json) {
    Json& findings = json["findings"] = Json::array();
    for (const std::string& finding : checked.findings()) findings.push_back(finding);
  }

  static size_t Width(const Console& console) {
    return console.width.value_or(std::numeric_limits<size_t>::max());
  }
  static void Line(Console& console, const std::string& text) {
    console.out << Wrap(Printable(text), Width(console), 2) << '\n';
  }
  static void PrintFindings(Console& console, const v1::CheckedPolicy& checked) {
    for (const std::string& finding : checked.findings()) Line(console, finding);
  }

  void Print(Console& console, const Record& record, const v1::CheckedPolicy& checked,
             const Outcome& outcome) const {
    const Zone zone = local_ ? Zone::kLocal : Zone::kUtc;
    PrintFindings(console, checked);
    Line(console,
         absl::StrCat(Heading(record, zone), ", judged by ", file_, " in mode ", checked.mode()));
    const std::string year = FormatShortTime(console.now(), zone).substr(0, 4);
    // On a terminal the year is said where it is not this one.
    const auto time = [&](uint64_t time_ns) {
      const std::string text = FormatShortTime(time_ns, zone);
      return console.width && text.substr(0, 4) == year ? text.substr(5) : text;
    };
    Table table({{.heading = "WAS", .importance = 9, .least = 20, .cut = Cut::kMiddle},
                 {.heading = "WOULD BE", .importance = 10, .least = 20, .cut = Cut::kMiddle},
                 {.heading = "ATTEMPTS", .importance = 8, .right = true},
                 {.heading = absl::StrCat("LAST ", ZoneName(zone, console.now())), .importance = 4},
                 {.heading = "USER", .importance = 7, .least = 8, .cut = Cut::kMiddle},
                 {.heading = "EXE (SCRIPT)",
                  .importance = 6,
                  .least = 16,
                  .cut = Cut::kMiddle,
                  .below = true},
                 {.heading = "DESTINATION",
                  .importance = 5,
                  .least = 16,
                  .cut = Cut::kMiddle,
                  .below = true}},
                console.width);
    for (const Change& change : outcome.changes) {
      table.AddRow({VerdictText(change.facts.verdict(), change.facts.rule()),
                    VerdictText(change.judgement.verdict(), RulesText(change.judgement)),
                    absl::StrCat(change.attempts), time(change.last_ns), UserText(change.facts),
                    BinaryText(change.facts), DestinationText(change.facts)});
    }
    table.Print(console.out);
    table.PrintLeftOut(console.out);
    for (const auto& [why, attempts] : outcome.unknown) {
      Line(console, absl::StrCat("Could not be judged: ", Count(attempts, "attempt"), ": ", why));
    }
    if (outcome.within_limit > 0) {
      Line(console, absl::StrCat(Count(outcome.within_limit, "attempt"),
                                 " by rules with a limit: judged as within it"));
    }
    if (!checked.new_ports().empty()) {
      Line(console, absl::StrCat("Not watched until now, so nothing is on record: port ",
                                 absl::StrJoin(checked.new_ports(), ", ")));
    }
    PrintCompleteness(console.out, record.completeness, zone, console.width);
    Line(console, absl::StrCat("Of ", Count(record.senders.attempts(), "attempt"), " ",
                               outcome.changed, " would be judged otherwise; ", outcome.unjudged,
                               " could not be judged; the record is ",
                               record.completeness.complete() ? "complete" : "NOT complete", "."));
  }

  void PrintJson(Console& console, const Record& record, const v1::CheckedPolicy& checked,
                 const Outcome& outcome) const {
    for (const Change& change : outcome.changes) {
      Json json = Json::object();
      json["kind"] = "change";
      SetText(json, "user", change.facts.user());
      if (change.facts.has_uid()) json["uid"] = change.facts.uid();
      SetText(json, "exe", change.facts.exe());
      SetText(json, "script", change.facts.script());
      SetText(json, "destination", change.facts.destination());
      json["port"] = change.facts.port();
      SetText(json, "verdict", VerdictName(change.facts.verdict()));
      SetText(json, "rule", change.facts.rule());
      Json& would = json["would"] = Json::object();
      would["judged"] = !change.judgement.rules().empty();
      SetText(would, "verdict", VerdictName(change.judgement.verdict()));
      SetText(would, "rule", RulesText(change.judgement));
      json["count"] = change.attempts;
      SetTime(json, "last", change.last_ns);
      WriteJson(console.out, json);
    }
    Json json = Json::object();
    json["kind"] = "would";
    json["accepted"] = true;
    json["mode"] = checked.mode();
    AddFindings(checked, json);
    json["host"] = record.host;
    json["source"] = record.source;
    SetTime(json, "since", record.since_ns);
    json["attempts"] = record.senders.attempts();
    json["changed"] = outcome.changed;
    json["unjudged"] = outcome.unjudged;
    json["within_limit"] = outcome.within_limit;
    Json& unknown = json["unknown"] = Json::array();
    for (const auto& [why, attempts] : outcome.unknown) {
      unknown.push_back({{"reason", why}, {"count", attempts}});
    }
    Json& ports = json["new_ports"] = Json::array();
    for (const uint32_t port : checked.new_ports()) ports.push_back(port);
    WriteJson(console.out, json);
    WriteJson(console.out, CompletenessJson(record.completeness));
  }
};

}  // namespace

std::unique_ptr<Command> AddPolicyWouldCommand(CLI::App& policy) {
  auto command = std::make_unique<PolicyWouldCommand>();
  command->app = policy.add_subcommand("would", "What another policy would change");
  command->app->add_option("--file", command->file_, "the other policy, a whole agent.yaml")
      ->option_text("FILE")
      ->required();
  command->recorded_.AddTo(*command->app);
  AddAgentOption(*command->app, command->agent_, kAgentAdminSocket);
  AddJsonOption(*command->app, command->json_);
  AddLocalOption(*command->app, command->local_);
  command->app->footer(
      "Needs root. Goes through what this host recorded, at the collector, or in the\n"
      "agent's spool where it has none, and has the agent judge it by FILE. Nothing is\n"
      "put in force. What is not on record is not guessed; the end says how many\n"
      "attempts could not be judged. Exit code 1: FILE is refused. 3: answered, but the\n"
      "record is not complete, or not all of it could be judged.\n\n"
      "Examples:\n"
      "  postern policy would --file new.yaml\n"
      "  postern policy would --file new.yaml --since 30d --json");
  return command;
}

}  // namespace postern::cli
