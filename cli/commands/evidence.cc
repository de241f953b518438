// SPDX-License-Identifier: Apache-2.0
// `postern evidence`: a report on one host and time, for a delisting request or an
// abuse ticket.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/collector_client.h"
#include "cli/command.h"
#include "cli/completeness.h"
#include "cli/event_table.h"
#include "cli/evidence.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"
#include "common/event_json.h"
#include "common/event_kind.h"
#include "common/status.h"
#include "common/time_text.h"

namespace postern::cli {
namespace {

// All of them are held at once, to be put in order; a report that long serves nobody.
constexpr uint32_t kMostEvents = 100'000;
// Changes of policy that are looked through for the one in force at the beginning.
constexpr uint32_t kMostPolicies = 1'000;

struct Subject {
  std::string host;
  uint64_t since_ns = 0;
  uint64_t until_ns = 0;
  std::string text;
};

// What the collector answered, and who asked.
struct Report {
  Subject subject;
  Evidence evidence;
  std::optional<v1::Event> policy;
  v1::Host host;
  v1::Completeness completeness;
  std::string collector;
  uint64_t made_ns = 0;
};

std::string MadeBy() { return "postern " POSTERN_VERSION; }

v1::Filter FilterOf(const Subject& subject) {
  v1::Filter filter;
  filter.add_hosts(subject.host);
  return filter;
}

absl::StatusOr<std::vector<v1::Event>> FindEvents(CollectorClient& client, const Subject& subject,
                                                  v1::Completeness& completeness) {
  v1::FindRequest request;
  *request.mutable_filter() = FilterOf(subject);
  request.mutable_filter()->set_since_ns(subject.since_ns);
  request.mutable_filter()->set_until_ns(subject.until_ns);
  request.mutable_filter()->set_canaries(true);
  request.set_limit(kMostEvents);
  std::vector<v1::Event> events;
  ASSIGN_OR_RETURN(completeness, client.Find(request, [&](const v1::Event& event) {
    events.push_back(event);
    return true;
  }));
  if (completeness.truncated()) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are more than ", kMostEvents,
                     " events in this window; choose a shorter --window, or count them by "
                     "`postern query --group-by`"));
  }
  return events;
}

absl::StatusOr<std::optional<v1::Event>> FindPolicyBefore(CollectorClient& client,
                                                          const Subject& subject) {
  v1::FindRequest request;
  *request.mutable_filter() = FilterOf(subject);
  request.mutable_filter()->set_until_ns(subject.since_ns);
  request.mutable_filter()->add_kinds(v1::Event::POLICY);
  request.set_limit(kMostPolicies);
  std::vector<v1::Event> policies;
  RETURN_IF_ERROR(client
                      .Find(request,
                            [&](const v1::Event& event) {
                              policies.push_back(event);
                              return true;
                            })
                      .status());
  return PolicyInForce(policies);
}

std::string PolicyHead(const v1::Event& policy) {
  return absl::StrCat("generation ", policy.generation(), ", mode ", policy.mode());
}

class TextReport {
 public:
  TextReport(Console& console, Zone zone)
      : console_(console),
        zone_(zone),
        width_(console.width.value_or(std::numeric_limits<size_t>::max())) {}

  void Print(const Report& report) {
    Head(report);
    Policy(report);
    Attempts(report.evidence);
    Postfix(report.evidence);
    Proofs(report.evidence);
    Section("Is anything missing?");
    PrintCompleteness(console_.out, report.completeness, zone_, console_.width);
  }

 private:
  void Line(const std::string& text, size_t indent = 2) {
    console_.out << Wrap(Printable(text), width_, indent) << '\n';
  }
  void Section(const std::string& title) { console_.out << '\n' << title << '\n'; }
  std::string Time(uint64_t time_ns) const {
    return absl::StrCat(FormatShortTime(time_ns, zone_), " ", ZoneName(zone_, time_ns));
  }

  void Head(const Report& report) {
    Line(absl::StrCat("Mail connections of host ", report.subject.host));
    Line(absl::StrCat("Time: ", report.subject.text));
    Line(absl::StrCat("Made: ", Time(report.made_ns), " by ", MadeBy(), ", from the collector at ",
                      report.collector));
    if (!report.host.agent().empty()) {
      Line(absl::StrCat("Recorded by: posternd ", report.host.version(), ", agent ",
                        report.host.agent(), ", last heard of ", Time(report.host.last_seen_ns())));
    }
  }

  void Policy(const Report& report) {
    Section("Policy in force");
    if (report.policy) {
      Line(absl::StrCat("From the beginning (since ", Time(report.policy->time_ns()),
                        "): ", PolicyHead(*report.policy)));
      for (const std::string& line : report.policy->policy()) Line(absl::StrCat("  ", line), 4);
    } else {
      Line(
          "At the beginning: not on record; it was put in force before the host's first report, or "
          "before the collector keeps anything.");
    }
    for (const v1::Event& event : report.evidence.events) {
      if (event.kind() != v1::Event::POLICY) continue;
      Line(absl::StrCat(Time(event.time_ns()), ": ", event.message()));
      for (const std::string& line : event.policy()) Line(absl::StrCat("  ", line), 4);
    }
  }

  void Attempts(const Evidence& evidence) {
    std::vector<std::string> verdicts;
    uint64_t sum = 0;
    for (const auto& [verdict, count] : evidence.verdicts) {
      verdicts.push_back(absl::StrCat(count, " ", verdict));
      sum += count;
    }
    Section("Who connected");
    if (sum == 0) {
      Line("Nobody did, as far as the record goes.");
    } else {
      Line(absl::StrCat(Count(sum, "attempt"), ": ", absl::StrJoin(verdicts, ", ")));
      Table table({{.heading = "ATTEMPTS", .importance = 9, .right = true},
                   {.heading = "VERDICT", .importance = 8},
                   {.heading = "USER", .importance = 7, .least = 8, .cut = Cut::kMiddle},
                   {.heading = "EXE (SCRIPT)", .importance = 10, .least = 20, .below = true},
                   {.heading = "RULE", .importance = 4, .least = 7},
                   {.heading = "FIRST", .importance = 1},
                   {.heading = "LAST", .importance = 2}},
                  console_.width);
      for (const auto& [who, tally] : evidence.attempts) {
        const auto& [user, binary, verdict, rule] = who;
        table.AddRow({absl::StrCat(tally.count), verdict, user, binary, rule,
                      FormatShortTime(tally.first_ns, zone_),
                      FormatShortTime(tally.last_ns, zone_)});
      }
      table.Print(console_.out);
      table.PrintLeftOut(console_.out);
    }
    Section("Each event, in the order in which they happened");
    EventTable::Options options;
    options.zone = zone_;
    options.width = console_.width;
    EventTable table(options);
    for (const v1::Event& event : evidence.events) {
      if (event.kind() != v1::Event::POLICY) table.Add(event);
    }
    if (table.pending() == 0) {
      Line("None.");
      return;
    }
    table.Print(console_.out);
    table.PrintLeftOut(console_.out);
  }

  void Postfix(const Evidence& evidence) {
    Section("What this host sent by Postfix");
    uint64_t sum = 0;
    for (const auto& [destination, tally] : evidence.postfix) sum += tally.count;
    if (sum == 0) {
      Line("Postfix's smtp(8) connected nowhere.");
    } else {
      Line(absl::StrCat("Postfix's smtp(8) made ", Count(sum, "connection"),
                        "; what became of each message stands in Postfix's own log:"));
      for (const auto& [destination, tally] : evidence.postfix) {
        Line(absl::StrCat("  ", destination, "  ", Count(tally.count, "connection"), ", ",
                          tally.first_ns == tally.last_ns
                              ? Time(tally.first_ns)
                              : absl::StrCat(FormatShortTime(tally.first_ns, zone_), " to ",
                                             Time(tally.last_ns))),
             4);
      }
    }
    if (evidence.unproven_postfix > 0) {
      Line(absl::StrCat(Count(evidence.unproven_postfix, "attempt"),
                        " more came from a binary of such a path that is not shown to be "
                        "Postfix's: its start was not seen or was not root's, or others can "
                        "write the file."));
    }
  }

  void Proofs(const Evidence& evidence) {
    Section("Did denials work?");
    if (evidence.failed_proofs.count > 0) {
      Line(
          absl::StrCat("NOT always: the agent's own attempt was not denied as it has to be, or not "
                       "recorded, ",
                       Count(evidence.failed_proofs.count, "time"), ", first at ",
                       Time(evidence.failed_proofs.first_ns), "."));
    }
    if (evidence.proofs.count == 0) {
      Line("Not proven in this time: no canary was denied and recorded.");
      return;
    }
    Line(absl::StrCat("Proven ", evidence.proofs.count,
                      evidence.proofs.count == 1 ? " time" : " times", ", from ",
                      FormatShortTime(evidence.proofs.first_ns, zone_), " to ",
                      Time(evidence.proofs.last_ns),
                      ": the agent's own attempt was denied by the kernel and recorded."));
  }

  Console& console_;
  const Zone zone_;
  const size_t width_;
};

Json PostfixJson(const Evidence& evidence) {
  Json json = Json::object();
  json["kind"] = "postfix";
  uint64_t sum = 0;
  Json destinations = Json::array();
  for (const auto& [destination, tally] : evidence.postfix) {
    sum += tally.count;
    Json entry = Json::object();
    entry["destination"] = destination;
    entry["count"] = tally.count;
    SetTime(entry, "first", tally.first_ns);
    SetTime(entry, "last", tally.last_ns);
    destinations.push_back(std::move(entry));
  }
  json["connections"] = sum;
  json["unproven"] = evidence.unproven_postfix;
  json["destinations"] = std::move(destinations);
  return json;
}

void PrintJson(Console& console, const Report& report) {
  Json head = Json::object();
  head["kind"] = "evidence";
  head["host"] = report.subject.host;
  SetTime(head, "since", report.subject.since_ns);
  SetTime(head, "until", report.subject.until_ns);
  SetTime(head, "made", report.made_ns);
  head["made_by"] = MadeBy();
  head["collector"] = report.collector;
  SetText(head, "agent", report.host.agent());
  SetText(head, "agent_version", report.host.version());
  SetTime(head, "last_seen", report.host.last_seen_ns());
  WriteJson(console.out, head);

  Json policy = Json::object();
  policy["kind"] = "policy_in_force";
  policy["on_record"] = report.policy.has_value();
  if (report.policy) {
    SetTime(policy, "since", report.policy->time_ns());
    policy["generation"] = report.policy->generation();
    SetText(policy, "mode", report.policy->mode());
    Json& lines = policy["policy"] = Json::array();
    for (const std::string& line : report.policy->policy()) lines.push_back(line);
  }
  WriteJson(console.out, policy);

  for (const v1::Event& event : report.evidence.events) {
    WriteJsonText(console.out, EventToJson(event));
  }
  for (const auto& [who, tally] : report.evidence.attempts) {
    const auto& [user, binary, verdict, rule] = who;
    Json group = Json::object();
    group["kind"] = "group";
    SetText(group, "user", user);
    SetText(group, "binary", binary);
    SetText(group, "verdict", verdict);
    SetText(group, "rule", rule);
    group["count"] = tally.count;
    SetTime(group, "first", tally.first_ns);
    SetTime(group, "last", tally.last_ns);
    WriteJson(console.out, group);
  }
  WriteJson(console.out, PostfixJson(report.evidence));
  Json proofs = Json::object();
  proofs["kind"] = "proofs";
  proofs["count"] = report.evidence.proofs.count;
  SetTime(proofs, "first", report.evidence.proofs.first_ns);
  SetTime(proofs, "last", report.evidence.proofs.last_ns);
  proofs["failed"] = report.evidence.failed_proofs.count;
  WriteJson(console.out, proofs);
  Json completeness = CompletenessJson(report.completeness);
  SetTime(completeness, "since", report.subject.since_ns);
  SetTime(completeness, "until", report.subject.until_ns);
  WriteJson(console.out, completeness);
}

class EvidenceCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    const Zone zone = local_ ? Zone::kLocal : Zone::kUtc;
    Report report;
    report.made_ns = console.now();
    ASSIGN_OR_RETURN(report.subject, SubjectAt(console.now(), zone));
    ASSIGN_OR_RETURN(Endpoint endpoint, collector_.ToEndpoint());
    report.collector = endpoint.address;
    ASSIGN_OR_RETURN(const std::unique_ptr<CollectorClient> client,
                     CollectorClient::Create(std::move(endpoint)));
    ASSIGN_OR_RETURN(std::vector<v1::Event> events,
                     FindEvents(*client, report.subject, report.completeness));
    report.evidence = Examine(std::move(events));
    ASSIGN_OR_RETURN(report.policy, FindPolicyBefore(*client, report.subject));
    ASSIGN_OR_RETURN(const v1::HostsResponse hosts, client->Hosts());
    for (const v1::Host& host : hosts.hosts()) {
      if (host.host() == report.subject.host) report.host = host;
    }
    if (json_) {
      PrintJson(console, report);
    } else {
      TextReport(console, zone).Print(report);
    }
    return report.completeness.complete() ? ExitCode::kAnswered : ExitCode::kIncomplete;
  }

  CollectorOptions collector_;
  std::string host_;
  std::string at_;
  std::string window_ = "15m";
  bool json_ = false;
  bool local_ = false;

 private:
  absl::StatusOr<Subject> SubjectAt(uint64_t now_ns, Zone zone) const {
    if (host_.empty()) return absl::InvalidArgumentError("--host: \"\" is empty; name a host");
    const absl::StatusOr<uint64_t> at = ParseTime(at_, now_ns);
    if (!at.ok()) return absl::InvalidArgumentError(absl::StrCat("--at: ", at.status().message()));
    const absl::StatusOr<uint64_t> window = ParseDuration(window_);
    if (!window.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--window: ", window.status().message()));
    }
    Subject subject;
    subject.host = host_;
    subject.since_ns = *at - std::min(*at, *window);
    // The far end belongs to it too.
    subject.until_ns = std::min<uint64_t>(*at + *window + 1, std::numeric_limits<int64_t>::max());
    subject.text =
        absl::StrCat(FormatShortTime(subject.since_ns, zone), " to ",
                     FormatShortTime(*at + *window, zone), " ", ZoneName(zone, *at), " (",
                     FormatShortTime(*at, zone), " plus or minus ", FormatDuration(*window), ")");
    return subject;
  }
};

}  // namespace

std::unique_ptr<Command> AddEvidenceCommand(CLI::App& root) {
  auto command = std::make_unique<EvidenceCommand>();
  CLI::App* app = command->app = root.add_subcommand("evidence", "A report on one host and time");
  app->add_option("--host", command->host_, "of this host")->option_text("HOST")->required();
  app->add_option("--at", command->at_, "around this time")->option_text("TIME")->required();
  app->add_option("--window", command->window_, "plus or minus, 15m if absent")
      ->option_text("DURATION");
  AddJsonOption(*app, command->json_);
  AddLocalOption(*app, command->local_);
  command->collector_.AddTo(*app);
  app->footer(
      "For a delisting request or an abuse ticket: who connected where, each verdict,\n"
      "the policy in force, what the host did send by Postfix, whether denials were\n"
      "proven to work, and whether anything is missing from the record. In the order in\n"
      "which things happened, also where somebody set the clock. TIME as for `postern\n"
      "query`. Exit code 3: something is missing.\n\n"
      "Examples:\n"
      "  postern evidence --host web1 --at '2026-03-01 14:30' --window 15m\n"
      "  postern evidence --host web1 --at 2026-03-01T14:30Z --json > ticket.jsonl");
  return command;
}

}  // namespace postern::cli
