// SPDX-License-Identifier: Apache-2.0
#include "cli/evidence_report.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/completeness.h"
#include "cli/event_table.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"
#include "common/event_json.h"
#include "common/event_kind.h"

namespace postern::cli {
namespace {

std::string MadeBy() { return "postern " POSTERN_VERSION; }

std::string PolicyHead(const v1::Event& policy) {
  return absl::StrCat("generation ", policy.generation(), policy.mode().empty() ? "" : ", mode ",
                      policy.mode());
}

uint64_t PostfixConnections(const Evidence& evidence) {
  uint64_t sum = evidence.other_postfix.count;
  for (const auto& [destination, tally] : evidence.postfix) sum += tally.count;
  return sum;
}

// "3 raw sockets".
std::string CountOf(v1::Event::Kind kind, uint64_t count) {
  switch (kind) {
    case v1::Event::RAW_SOCKET:
      return Count(count, "raw socket");
    case v1::Event::PACKET_SOCKET:
      return Count(count, "packet socket");
    case v1::Event::EARLIER_CONNECTION:
      return absl::StrCat(Count(count, "connection"), " from before the agent");
    default:
      return Count(count, "attempt");
  }
}

// "87 attempts: 85 allowed, 2 denied; 3 raw sockets"; "" where there was none.
std::string VerdictsText(const Evidence& evidence) {
  std::map<v1::Event::Kind, uint64_t> sums;
  for (const auto& [what, count] : evidence.verdicts) sums[what.first] += count;
  std::vector<std::string> texts;
  for (const auto& [kind, sum] : sums) {
    std::vector<std::string> verdicts;
    for (const auto& [what, count] : evidence.verdicts) {
      if (what.first != kind || what.second.empty()) continue;
      verdicts.push_back(absl::StrCat(count, " ", what.second));
    }
    texts.push_back(absl::StrCat(CountOf(kind, sum), verdicts.empty() ? "" : ": ",
                                 absl::StrJoin(verdicts, ", ")));
  }
  return absl::StrJoin(texts, "; ");
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
    Events(report.evidence);
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
    const std::vector<Recorder> recorders = RecordersOf(report.evidence, report.policy.in_force);
    for (const Recorder& recorder : recorders) Line(RecorderText(recorder));
    if (recorders.empty()) Line("Recorded by: no event of this time is on record.");
    if (!report.host.agent().empty()) {
      Line(absl::StrCat("Known of the host when this was made: agent ", report.host.agent(),
                        ", posternd ", report.host.version(), ", last heard of ",
                        Time(report.host.last_seen_ns())));
    }
  }

  std::string RecorderText(const Recorder& recorder) const {
    std::string text = absl::StrCat("Recorded by: agent ", recorder.agent, ", posternd ");
    if (recorder.versions.empty() || recorder.attempts_before) {
      absl::StrAppend(&text, "of a version not on record");
      for (const Recorder::Version& version : recorder.versions) AppendVersion(version, text);
      return text;
    }
    absl::StrAppend(&text, recorder.versions.front().version);
    for (size_t i = 1; i < recorder.versions.size(); ++i) {
      AppendVersion(recorder.versions[i], text);
    }
    return text;
  }
  void AppendVersion(const Recorder::Version& version, std::string& text) const {
    absl::StrAppend(&text, ", from ", Time(version.since_ns), " on ", version.version);
  }

  void Policy(const Report& report) {
    Section("Policy in force");
    if (const std::optional<v1::Event>& policy = report.policy.in_force) {
      Line(absl::StrCat("From the beginning (since ", Time(policy->time_ns()),
                        "): ", PolicyHead(*policy)));
      for (const std::string& line : policy->policy()) Line(absl::StrCat("  ", line), 4);
    } else {
      Line(
          "At the beginning: not on record; it was put in force before the host's first report, or "
          "before the collector keeps anything.");
    }
    if (const std::optional<v1::Event>& word = report.policy.last_word) {
      Line(absl::StrCat("Last said before that time, at ", Time(word->time_ns()), ": ",
                        word->message()));
    }
    for (const v1::Event& event : report.evidence.events) {
      if (event.kind() != v1::Event::POLICY) continue;
      Line(absl::StrCat("From ", Time(event.time_ns()), " on: ", PolicyHead(event), "; ",
                        event.message()));
      for (const std::string& line : event.policy()) Line(absl::StrCat("  ", line), 4);
    }
  }

  void Attempts(const Evidence& evidence) {
    Section("Who connected");
    if (evidence.verdicts.empty()) {
      Line("Nobody did, as far as the record goes.");
      return;
    }
    Line(VerdictsText(evidence));
    Table table({{.heading = "ATTEMPTS", .importance = 9, .right = true},
                 {.heading = "VERDICT", .importance = 8},
                 {.heading = "USER", .importance = 7, .least = 8, .cut = Cut::kMiddle},
                 {.heading = "EXE (SCRIPT)", .importance = 10, .least = 20, .below = true},
                 {.heading = "RULE", .importance = 4, .least = 7},
                 {.heading = "FIRST", .importance = 1},
                 {.heading = "LAST", .importance = 2}},
                console_.width);
    const auto add = [&](const Sender& sender, const Tally& tally) {
      const bool named = !sender.rule.empty() || sender.kind == v1::Event::CONNECT;
      table.AddRow({absl::StrCat(tally.count), sender.verdict.empty() ? "-" : sender.verdict,
                    sender.user, sender.binary,
                    named ? sender.rule : absl::StrCat("(", KindName(sender.kind), ")"),
                    FormatShortTime(tally.first_ns, zone_), FormatShortTime(tally.last_ns, zone_)});
    };
    for (const auto& [sender, tally] : evidence.attempts) add(sender, tally);
    if (evidence.other_attempts.count > 0) {
      add({.user = "(others)",
           .binary = absl::StrCat("(all beyond ", kMostRows, " rows)"),
           .kind = v1::Event::CONNECT,
           .verdict = {},
           .rule = {}},
          evidence.other_attempts);
    }
    table.Print(console_.out);
    table.PrintLeftOut(console_.out);
  }

  void Events(const Evidence& evidence) {
    Section("Each event, in the order in which they happened");
    EventTable::Options options;
    options.zone = zone_;
    options.width = console_.width;
    EventTable table(options);
    for (const v1::Event& event : evidence.events) {
      if (event.kind() != v1::Event::POLICY) table.Add(event);
    }
    if (evidence.left_out > 0) {
      Line(absl::StrCat("NOT all: the older ", Count(evidence.left_out, "record"),
                        " of attempts are left out here, but counted above; --limit 0 lists all."));
    }
    if (table.pending() == 0) {
      if (evidence.left_out == 0) Line("None.");
      return;
    }
    table.Print(console_.out);
    table.PrintLeftOut(console_.out);
  }

  void Postfix(const Evidence& evidence) {
    Section("What this host sent by Postfix");
    const uint64_t sum = PostfixConnections(evidence);
    if (sum == 0) {
      Line("Postfix's smtp(8) connected nowhere.");
    } else {
      Line(absl::StrCat("Postfix's smtp(8) made ", Count(sum, "connection"),
                        "; what became of each message stands in Postfix's own log:"));
      const auto add = [&](const std::string& destination, const Tally& tally) {
        Line(absl::StrCat("  ", destination, "  ", Count(tally.count, "connection"), ", ",
                          tally.first_ns == tally.last_ns
                              ? Time(tally.first_ns)
                              : absl::StrCat(FormatShortTime(tally.first_ns, zone_), " to ",
                                             Time(tally.last_ns))),
             4);
      };
      for (const auto& [destination, tally] : evidence.postfix) add(destination, tally);
      if (evidence.other_postfix.count > 0) add("(further ones)", evidence.other_postfix);
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

void SetTally(Json& json, const Tally& tally) {
  json["count"] = tally.count;
  SetTime(json, "first", tally.first_ns);
  SetTime(json, "last", tally.last_ns);
}

Json RecorderJson(const Recorder& recorder) {
  Json json = Json::object();
  json["agent"] = recorder.agent;
  Json& versions = json["versions"] = Json::array();
  for (const Recorder::Version& version : recorder.versions) {
    Json entry = Json::object();
    entry["version"] = version.version;
    SetTime(entry, "since", version.since_ns);
    versions.push_back(std::move(entry));
  }
  return json;
}

Json HeadJson(const Report& report) {
  Json head = Json::object();
  head["kind"] = "evidence";
  head["host"] = report.subject.host;
  SetTime(head, "since", report.subject.since_ns);
  SetTime(head, "until", report.subject.until_ns);
  SetTime(head, "made", report.made_ns);
  head["made_by"] = MadeBy();
  head["collector"] = report.collector;
  Json& recorders = head["recorders"] = Json::array();
  for (const Recorder& recorder : RecordersOf(report.evidence, report.policy.in_force)) {
    recorders.push_back(RecorderJson(recorder));
  }
  if (!report.host.agent().empty()) {
    Json& now = head["host_when_made"] = Json::object();
    now["agent"] = report.host.agent();
    SetText(now, "version", report.host.version());
    SetTime(now, "last_seen", report.host.last_seen_ns());
  }
  head["left_out"] = report.evidence.left_out;
  return head;
}

Json PolicyJson(const PolicyBefore& before) {
  Json json = Json::object();
  json["kind"] = "policy_in_force";
  json["on_record"] = before.in_force.has_value();
  if (const std::optional<v1::Event>& policy = before.in_force) {
    SetTime(json, "since", policy->time_ns());
    json["generation"] = policy->generation();
    SetText(json, "mode", policy->mode());
    Json& lines = json["policy"] = Json::array();
    for (const std::string& line : policy->policy()) lines.push_back(line);
  }
  if (before.last_word) {
    SetTime(json, "last_message_time", before.last_word->time_ns());
    SetText(json, "last_message", before.last_word->message());
  }
  return json;
}

Json GroupJson(const Sender& sender, const Tally& tally) {
  Json json = Json::object();
  json["kind"] = "group";
  json["of"] = KindName(sender.kind);
  SetText(json, "user", sender.user);
  SetText(json, "binary", sender.binary);
  SetText(json, "verdict", sender.verdict);
  SetText(json, "rule", sender.rule);
  SetTally(json, tally);
  return json;
}

Json PostfixJson(const Evidence& evidence) {
  Json json = Json::object();
  json["kind"] = "postfix";
  json["connections"] = PostfixConnections(evidence);
  json["unproven"] = evidence.unproven_postfix;
  Json& destinations = json["destinations"] = Json::array();
  for (const auto& [destination, tally] : evidence.postfix) {
    Json entry = Json::object();
    entry["destination"] = destination;
    SetTally(entry, tally);
    destinations.push_back(std::move(entry));
  }
  if (evidence.other_postfix.count > 0) SetTally(json["others"], evidence.other_postfix);
  return json;
}

Json ProofsJson(const Evidence& evidence) {
  Json json = Json::object();
  json["kind"] = "proofs";
  SetTally(json, evidence.proofs);
  json["failed"] = evidence.failed_proofs.count;
  return json;
}

// Of all rows beyond those that are listed.
Json OthersJson(const Tally& tally) {
  Json json = Json::object();
  json["kind"] = "group";
  json["others"] = true;
  SetTally(json, tally);
  return json;
}

}  // namespace

void PrintReport(const Report& report, Zone zone, Console& console) {
  TextReport(console, zone).Print(report);
}

void PrintReportAsJson(const Report& report, Console& console) {
  const Evidence& evidence = report.evidence;
  WriteJson(console.out, HeadJson(report));
  WriteJson(console.out, PolicyJson(report.policy));
  for (const v1::Event& event : evidence.events) WriteJsonText(console.out, EventToJson(event));
  for (const auto& [sender, tally] : evidence.attempts) {
    WriteJson(console.out, GroupJson(sender, tally));
  }
  if (evidence.other_attempts.count > 0) {
    WriteJson(console.out, OthersJson(evidence.other_attempts));
  }
  WriteJson(console.out, PostfixJson(evidence));
  WriteJson(console.out, ProofsJson(evidence));
  Json completeness = CompletenessJson(report.completeness);
  SetTime(completeness, "since", report.subject.since_ns);
  SetTime(completeness, "until", report.subject.until_ns);
  WriteJson(console.out, completeness);
}

}  // namespace postern::cli
