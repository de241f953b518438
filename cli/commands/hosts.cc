// SPDX-License-Identifier: Apache-2.0
// `postern hosts`: the agents that a collector knows.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/collector_client.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/table.h"
#include "common/status.h"
#include "common/time_text.h"

namespace postern::cli {
namespace {

const char* StateOf(const v1::Host& host) {
  if (host.stopped()) return "stopped";
  if (host.silent()) return "silent";
  if (!host.connected()) return "away";
  return host.healthy() ? "healthy" : "unhealthy";
}

class HostsCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    ASSIGN_OR_RETURN(Endpoint endpoint, collector_.ToEndpoint());
    ASSIGN_OR_RETURN(const std::unique_ptr<CollectorClient> client,
                     CollectorClient::Create(std::move(endpoint)));
    ASSIGN_OR_RETURN(const v1::HostsResponse response, client->Hosts());
    if (json_) {
      for (const v1::Host& host : response.hosts()) PrintJson(console, host);
    } else {
      Print(console, response);
    }
    return ExitCode::kAnswered;
  }

  CollectorOptions collector_;
  bool json_ = false;
  bool local_ = false;

 private:
  static void PrintJson(Console& console, const v1::Host& host) {
    Json json = Json::object();
    json["kind"] = "host";
    json["host"] = host.host();
    SetText(json, "agent", host.agent());
    SetText(json, "version", host.version());
    SetTime(json, "first_seen", host.first_seen_ns());
    SetTime(json, "last_seen", host.last_seen_ns());
    json["connected"] = host.connected();
    json["healthy"] = host.healthy();
    json["silent"] = host.silent();
    json["stopped"] = host.stopped();
    SetText(json, "mode", host.mode());
    json["generation"] = host.generation();
    json["events_lost"] = host.events_lost();
    json["allowed"] = host.allowed();
    json["denied"] = host.denied();
    json["would_deny"] = host.would_deny();
    json["spool_events"] = host.spool_events();
    json["spool_bytes"] = host.spool_bytes();
    json["spool_evicted"] = host.spool_evicted();
    WriteJson(console.out, json);
  }

  void Print(Console& console, const v1::HostsResponse& response) const {
    if (response.hosts_size() == 0) {
      console.out << "No agent has reported yet; `collector:` in an agent's configuration says "
                     "where to.\n";
      return;
    }
    const Zone zone = local_ ? Zone::kLocal : Zone::kUtc;
    Table table(
        {{.heading = "HOST", .importance = 9, .least = 12, .cut = Cut::kEnd},
         {.heading = absl::StrCat("LAST SEEN ", ZoneName(zone, console.now())), .importance = 8},
         {.heading = "STATE", .importance = 7},
         {.heading = "MODE", .importance = 6},
         {.heading = "LOST", .importance = 5, .right = true},
         {.heading = "POLICY", .importance = 3, .right = true},
         {.heading = "VERSION", .importance = 4, .least = 7, .cut = Cut::kEnd}},
        console.width);
    for (const v1::Host& host : response.hosts()) {
      table.AddRow({host.host(), FormatShortTime(host.last_seen_ns(), zone), StateOf(host),
                    host.mode(), absl::StrCat(host.events_lost()), absl::StrCat(host.generation()),
                    host.version()});
    }
    table.Print(console.out);
    table.PrintLeftOut(console.out);
  }
};

}  // namespace

std::unique_ptr<Command> AddHostsCommand(CLI::App& root) {
  auto command = std::make_unique<HostsCommand>();
  command->app = root.add_subcommand("hosts", "Agents that the collector knows");
  AddJsonOption(*command->app, command->json_);
  AddLocalOption(*command->app, command->local_);
  command->collector_.AddTo(*command->app);
  command->app->footer(
      "STATE: stopped, it said goodbye; silent, it did not, and has not been heard of\n"
      "for 150 s; away, its connection has just ended. POLICY is the generation in\n"
      "force, LOST counts events lost since boot.\n\n"
      "Examples:\n"
      "  postern hosts\n"
      "  postern hosts --json | jq 'select(.silent) | .host'");
  return command;
}

}  // namespace postern::cli
