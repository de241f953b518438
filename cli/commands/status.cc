// SPDX-License-Identifier: Apache-2.0
// `postern status`: the local agent, and whether all is well with it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/agent_client.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/text.h"
#include "common/status.h"
#include "common/time_text.h"

namespace postern::cli {
namespace {

constexpr size_t kLabelWidth = 11;

// "label      text", continued under the text.
class Sheet {
 public:
  explicit Sheet(Console& console) : console_(console) {}

  void Line(absl::string_view label, absl::string_view text) {
    std::string line(label);
    line.resize(std::max(kLabelWidth, line.size() + 1), ' ');
    // Wrap() counts the label as words of the first line.
    const size_t width = console_.width.value_or(std::numeric_limits<size_t>::max());
    const std::string wrapped = Wrap(Printable(text), width - std::min(width, kLabelWidth), 0);
    for (const char c : wrapped) {
      line += c;
      if (c == '\n') line.append(kLabelWidth, ' ');
    }
    console_.out << line << '\n';
  }

 private:
  Console& console_;
};

Json ToJson(const v1::OtherProgram& other) {
  Json json = Json::object();
  json["id"] = other.id();
  SetText(json, "name", other.name());
  json["runs_after"] = other.runs_after();
  json["is_postern"] = other.is_postern();
  if (other.is_postern()) {
    SetText(json, "pin_folder", other.pin_folder());
    json["has_agent"] = other.has_agent();
  }
  return json;
}

// What it means to the verdicts of this agent.
std::string Describe(const v1::OtherProgram& other) {
  std::string text = absl::StrCat("program ", other.id(), " (", other.name(), ")");
  if (other.is_postern()) {
    absl::StrAppend(&text, other.has_agent() ? " of another posternd" : " that no agent watches");
    if (!other.pin_folder().empty()) absl::StrAppend(&text, ", pinned in ", other.pin_folder());
    return absl::StrCat(text, ": what it denies stays denied");
  }
  return absl::StrCat(text, other.runs_after()
                                ? " runs after Postern and could let pass what is denied"
                                : " runs before Postern and cannot undo a denial");
}

Json ToJson(const v1::StatusResponse& status) {
  Json json = Json::object();
  json["kind"] = "status";
  json["healthy"] = status.healthy();
  Json& problems = json["problems"] = Json::array();
  for (const std::string& problem : status.problems()) problems.push_back(problem);
  Json& notes = json["notes"] = Json::array();
  for (const std::string& note : status.notes()) notes.push_back(note);
  SetText(json, "version", status.version());
  SetText(json, "host", status.host());
  SetText(json, "agent", status.agent());
  SetText(json, "boot", status.boot());
  SetTime(json, "started", status.started_ns());
  SetText(json, "mode", status.mode());
  json["mode_overridden"] = status.mode_overridden();
  json["generation"] = status.generation();
  SetTime(json, "policy_loaded", status.policy_loaded_ns());
  json["rules"] = status.rules();
  SetText(json, "config_file", status.config_file());
  Json& hooks = json["hooks"] = Json::array();
  for (const v1::Hook& hook : status.hooks()) {
    Json entry = Json::object();
    entry["name"] = hook.name();
    entry["attached"] = hook.attached();
    SetText(entry, "reason", hook.reason());
    for (const v1::OtherProgram& other : hook.others()) entry["others"].push_back(ToJson(other));
    hooks.push_back(std::move(entry));
  }
  const v1::Counters& counters = status.counters();
  json["counters"] = {{"seen", counters.seen()},
                      {"allowed", counters.allowed()},
                      {"denied", counters.denied()},
                      {"would_deny", counters.would_deny()},
                      {"over_limit", counters.over_limit()},
                      {"redirected", counters.redirected()},
                      {"would_redirect", counters.would_redirect()},
                      {"coalesced", counters.coalesced()},
                      {"lost", counters.lost()},
                      {"unknown_processes", counters.unknown_processes()},
                      {"processes_full", counters.processes_full()},
                      {"limits_full", counters.limits_full()},
                      {"redirects_without_room", counters.redirects_without_room()},
                      {"canaries", counters.canaries()}};
  SetTime(json, "proven", status.proven_ns());
  Json& spool = json["spool"] = Json::object();
  spool["events"] = status.spool().events();
  spool["bytes"] = status.spool().bytes();
  spool["max_bytes"] = status.spool().max_bytes();
  SetTime(spool, "oldest", status.spool().oldest_ns());
  spool["evicted"] = status.spool().evicted();
  Json& collector = json["collector"] = Json::object();
  collector["configured"] = status.collector().configured();
  collector["connected"] = status.collector().connected();
  SetText(collector, "address", status.collector().address());
  SetText(collector, "error", status.collector().error());
  SetTime(collector, "last_acknowledged", status.collector().last_acknowledged_ns());
  if (status.collector().has_clock_ahead_ns()) {
    collector["clock_ahead_ns"] = status.collector().clock_ahead_ns();
  }
  return json;
}

class StatusCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    ASSIGN_OR_RETURN(Endpoint endpoint, AgentReadEndpoint(agent_));
    ASSIGN_OR_RETURN(const std::unique_ptr<AgentClient> client,
                     AgentClient::Create(std::move(endpoint)));
    ASSIGN_OR_RETURN(const v1::StatusResponse status, client->Status());
    if (json_) {
      WriteJson(console.out, ToJson(status));
    } else {
      Print(console, status);
    }
    return status.healthy() ? ExitCode::kAnswered : ExitCode::kIncomplete;
  }

  std::string agent_;
  bool json_ = false;
  bool local_ = false;

 private:
  std::string Time(uint64_t time_ns) const {
    const Zone zone = local_ ? Zone::kLocal : Zone::kUtc;
    return absl::StrCat(FormatShortTime(time_ns, zone), " ", ZoneName(zone, time_ns));
  }

  static std::string Age(uint64_t now_ns, uint64_t time_ns) {
    return FormatDuration(now_ns - std::min(now_ns, time_ns));
  }

  void Print(Console& console, const v1::StatusResponse& status) const {
    Sheet sheet(console);
    const uint64_t now = console.now();
    std::string host = absl::StrCat(status.host(), ", agent ", status.version());
    if (status.started_ns() > 0) {
      absl::StrAppend(&host, ", running for ", Age(now, status.started_ns()));
    }
    sheet.Line("host", host);
    sheet.Line("mode", absl::StrCat(status.mode(), status.mode_overridden()
                                                       ? " (switched by hand; the file differs)"
                                                       : ""));
    std::string policy =
        absl::StrCat("generation ", status.generation(), ", ", Count(status.rules(), "rule"));
    if (status.policy_loaded_ns() > 0) {
      absl::StrAppend(&policy, ", loaded ", Time(status.policy_loaded_ns()));
    }
    if (!status.config_file().empty()) absl::StrAppend(&policy, " from ", status.config_file());
    sheet.Line("policy", policy);
    PrintHooks(sheet, status);
    sheet.Line("canary", status.has_proven_ns()
                             ? absl::StrCat("denied and recorded ", Age(now, status.proven_ns()),
                                            " ago, ", Time(status.proven_ns()))
                             : "none was denied and recorded yet");
    const v1::Counters& counters = status.counters();
    sheet.Line(
        "attempts",
        absl::StrCat(
            counters.seen(), " since boot: ", counters.allowed(), " allowed, ", counters.denied(),
            " denied, ",
            counters.over_limit() > 0 ? absl::StrCat(counters.over_limit(), " over a limit, ") : "",
            counters.redirected() > 0 ? absl::StrCat(counters.redirected(), " redirected, ") : "",
            counters.would_redirect() > 0
                ? absl::StrCat(counters.would_redirect(), " would be redirected, ")
                : "",
            counters.would_deny(), " would be denied; ", counters.coalesced(), " came as repeats"));
    std::string lost = Count(counters.lost(), "event");
    if (counters.unknown_processes() > 0) {
      absl::StrAppend(&lost, "; ", Count(counters.unknown_processes(), "attempt"),
                      " by processes not in the table");
    }
    if (counters.processes_full() > 0) {
      absl::StrAppend(&lost, "; the table of processes was full ",
                      Count(counters.processes_full(), "time"));
    }
    if (counters.redirects_without_room() > 0) {
      absl::StrAppend(&lost, "; ", Count(counters.redirects_without_room(), "redirect"),
                      " denied, for the socket had no room to remember its peer");
    }
    if (counters.limits_full() > 0) {
      absl::StrAppend(&lost, "; the table of limits was full ",
                      Count(counters.limits_full(), "time"));
    }
    sheet.Line("lost", lost);
    const v1::SpoolState& spool = status.spool();
    std::string spooled = absl::StrCat(Count(spool.events(), "event"), ", ", Bytes(spool.bytes()),
                                       " of ", Bytes(spool.max_bytes()));
    if (spool.has_oldest_ns()) {
      absl::StrAppend(&spooled, ", the oldest from ", Time(spool.oldest_ns()));
    }
    if (spool.evicted() > 0) absl::StrAppend(&spooled, ", ", spool.evicted(), " evicted");
    sheet.Line("spool", spooled);
    PrintCollector(sheet, status.collector(), now);
    for (const std::string& note : status.notes()) sheet.Line("note", note);
    for (const std::string& problem : status.problems()) sheet.Line("problem", problem);
    console.out << (status.healthy() ? "healthy\n" : "NOT healthy\n");
  }

  static void PrintHooks(Sheet& sheet, const v1::StatusResponse& status) {
    std::vector<std::string> attached;
    for (const v1::Hook& hook : status.hooks()) {
      if (hook.attached()) attached.push_back(hook.name());
    }
    sheet.Line("hooks", attached.empty() ? "none attached" : absl::StrJoin(attached, ", "));
    for (const v1::Hook& hook : status.hooks()) {
      if (!hook.attached()) {
        sheet.Line("", absl::StrCat("missing: ", hook.name(), ": ", hook.reason()));
      }
      for (const v1::OtherProgram& other : hook.others()) {
        sheet.Line("", absl::StrCat("beside ", hook.name(), ": ", Describe(other)));
      }
    }
  }

  static void PrintCollector(Sheet& sheet, const v1::CollectorLink& link, uint64_t now) {
    if (!link.configured()) {
      sheet.Line("collector", "none configured; events stay on this host");
      return;
    }
    std::string text =
        absl::StrCat(link.address(), link.connected() ? ", connected" : ", NOT connected");
    if (!link.error().empty()) absl::StrAppend(&text, ": ", link.error());
    if (link.has_last_acknowledged_ns()) {
      absl::StrAppend(&text, "; last acknowledged ", Age(now, link.last_acknowledged_ns()), " ago");
    }
    sheet.Line("collector", text);
  }
};

}  // namespace

std::unique_ptr<Command> AddStatusCommand(CLI::App& root) {
  auto command = std::make_unique<StatusCommand>();
  command->app = root.add_subcommand("status", "The local agent, and whether it is healthy");
  AddAgentOption(*command->app, command->agent_, kAgentReadSocket);
  AddJsonOption(*command->app, command->json_);
  AddLocalOption(*command->app, command->local_);
  command->app->footer(
      "Exit code 3: answered, but not healthy.\n\n"
      "Examples:\n"
      "  postern status\n"
      "  postern status --json | jq .counters");
  return command;
}

}  // namespace postern::cli
