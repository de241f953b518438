// SPDX-License-Identifier: Apache-2.0
// `postern policy show`: the policy in force as the kernel holds it, with hits.
#include <CLI/CLI.hpp>
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
#include "cli/table.h"
#include "cli/text.h"
#include "common/status.h"
#include "common/time_text.h"

namespace postern::cli {
namespace {

// "user postfix (105), exe /usr/bin/x or /usr/bin/y"
std::string FieldsText(const v1::PolicyRule& rule) {
  std::vector<std::string> fields;
  for (const v1::PolicyField& field : rule.fields()) {
    fields.push_back(absl::StrCat(field.name(), " ", absl::StrJoin(field.values(), " or ")));
  }
  return fields.empty() ? "anything" : absl::StrJoin(fields, ", ");
}

class PolicyShowCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    ASSIGN_OR_RETURN(Endpoint endpoint, AgentReadEndpoint(agent_));
    ASSIGN_OR_RETURN(const std::unique_ptr<AgentClient> client,
                     AgentClient::Create(std::move(endpoint)));
    ASSIGN_OR_RETURN(const v1::ShowPolicyResponse response, client->ShowPolicy());
    if (json_) {
      PrintJson(console, response);
    } else {
      Print(console, response);
    }
    return response.differences().empty() ? ExitCode::kAnswered : ExitCode::kIncomplete;
  }

  std::string agent_;
  bool json_ = false;
  bool local_ = false;

 private:
  static Json RuleJson(const v1::PolicyRule& rule) {
    Json json = Json::object();
    json["kind"] = "rule";
    json["rule"] = rule.name();
    json["action"] = rule.action();
    SetText(json, "limit", rule.limit());
    json["hits"] = rule.hits();
    Json& fields = json["fields"] = Json::object();
    for (const v1::PolicyField& field : rule.fields()) {
      Json& values = fields[field.name()] = Json::array();
      for (const std::string& value : field.values()) values.push_back(value);
    }
    return json;
  }

  static void PrintJson(Console& console, const v1::ShowPolicyResponse& response) {
    for (const v1::PolicyRule& rule : response.rules()) WriteJson(console.out, RuleJson(rule));
    Json json = Json::object();
    json["kind"] = "policy";
    json["generation"] = response.generation();
    json["mode"] = response.mode();
    json["default"] = response.default_action();
    json["default_hits"] = response.default_hits();
    json["deny_errno"] = response.deny_errno();
    Json& ports = json["ports"] = Json::array();
    for (const uint32_t port : response.ports()) ports.push_back(port);
    SetTime(json, "loaded", response.loaded_ns());
    SetText(json, "config_file", response.config_file());
    Json& differences = json["differences"] = Json::array();
    for (const std::string& difference : response.differences()) differences.push_back(difference);
    WriteJson(console.out, json);
  }

  void Print(Console& console, const v1::ShowPolicyResponse& response) const {
    const Zone zone = local_ ? Zone::kLocal : Zone::kUtc;
    const size_t width = console.width.value_or(std::numeric_limits<size_t>::max());
    const auto line = [&](const std::string& text) {
      console.out << Wrap(Printable(text), width, 2) << '\n';
    };
    line(absl::StrCat("Generation ", response.generation(), ", mode ", response.mode(), ", ports ",
                      absl::StrJoin(response.ports(), ", "), "; what is denied fails with ",
                      response.deny_errno()));
    Table table({{.heading = "#", .importance = 1, .right = true},
                 {.heading = "RULE", .importance = 9, .least = 12, .cut = Cut::kMiddle},
                 {.heading = "ACTION", .importance = 8},
                 {.heading = "LIMIT", .importance = 5},
                 {.heading = "HITS", .importance = 7, .right = true},
                 {.heading = "MATCHES", .importance = 6, .least = 24, .below = true}},
                console.width);
    int number = 0;
    for (const v1::PolicyRule& rule : response.rules()) {
      table.AddRow({absl::StrCat(++number), rule.name(), rule.action(), rule.limit(),
                    absl::StrCat(rule.hits()), FieldsText(rule)});
    }
    table.AddRow({"", "default", response.default_action(), "",
                  absl::StrCat(response.default_hits()), "whatever no rule matches"});
    table.Print(console.out);
    table.PrintLeftOut(console.out);
    for (const std::string& difference : response.differences()) line(difference);
    const std::string compiled = absl::StrCat(
        "what the agent compiled from ", response.config_file(), " at ",
        FormatShortTime(response.loaded_ns(), zone), " ", ZoneName(zone, response.loaded_ns()));
    line(response.differences().empty()
             ? absl::StrCat("The kernel holds ", compiled, ".")
             : absl::StrCat("The kernel does NOT hold ", compiled,
                            "; `postern policy reload` puts that in place."));
  }
};

}  // namespace

std::unique_ptr<Command> AddPolicyShowCommand(CLI::App& policy) {
  auto command = std::make_unique<PolicyShowCommand>();
  command->app = policy.add_subcommand("show", "What the kernel judges by, with hits per rule");
  AddAgentOption(*command->app, command->agent_, kAgentReadSocket);
  AddJsonOption(*command->app, command->json_);
  AddLocalOption(*command->app, command->local_);
  command->app->footer(
      "Read back from the kernel and compared with what the agent compiled. HITS counts\n"
      "the attempts that a rule decided, past its limit too, since its generation is in\n"
      "force; a reload or a switch of mode begins anew. Exit code 3: the kernel holds\n"
      "something else than the agent compiled.\n\n"
      "Examples:\n"
      "  postern policy show\n"
      "  postern policy show --json | jq 'select(.kind == \"rule\" and .hits == 0)'");
  return command;
}

}  // namespace postern::cli
