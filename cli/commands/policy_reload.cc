// SPDX-License-Identifier: Apache-2.0
// `postern policy reload`: has the agent read its configuration again, and says what
// came of it.
#include <CLI/CLI.hpp>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/agent_client.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/text.h"
#include "common/status.h"

namespace postern::cli {
namespace {

class PolicyReloadCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    ASSIGN_OR_RETURN(Endpoint endpoint, AgentAdminEndpoint(agent_));
    ASSIGN_OR_RETURN(const std::unique_ptr<AgentClient> client,
                     AgentClient::Create(std::move(endpoint)));
    ASSIGN_OR_RETURN(const v1::ReloadResponse response, client->Reload());
    if (json_) {
      PrintJson(console, response);
    } else {
      Print(console, response);
    }
    const bool whole = response.taken() && response.problem().empty();
    return whole ? ExitCode::kAnswered : ExitCode::kError;
  }

  std::string agent_;
  bool json_ = false;

 private:
  static void PrintJson(Console& console, const v1::ReloadResponse& response) {
    Json json = Json::object();
    json["kind"] = "policy_reload";
    json["taken"] = response.taken();
    json["generation"] = response.generation();
    SetText(json, "mode", response.mode());
    json["rules"] = response.rules();
    SetText(json, "config_file", response.config_file());
    Json& findings = json["findings"] = Json::array();
    for (const std::string& finding : response.findings()) findings.push_back(finding);
    SetText(json, "problem", response.problem());
    SetText(json, "restart", response.restart());
    WriteJson(console.out, json);
  }

  static void Print(Console& console, const v1::ReloadResponse& response) {
    const size_t width = console.width.value_or(std::numeric_limits<size_t>::max());
    const auto line = [&](const std::string& text) {
      console.out << Wrap(Printable(text), width, 2) << '\n';
    };
    for (const std::string& finding : response.findings()) line(finding);
    if (!response.problem().empty()) line(response.problem());
    if (!response.restart().empty()) line(response.restart());
    const std::string in_force =
        absl::StrCat("generation ", response.generation(), ", mode ", response.mode(), ", ",
                     Count(response.rules(), "rule"));
    line(response.taken()
             ? absl::StrCat("In force now: ", in_force, ", from ", response.config_file(), ".")
             : absl::StrCat("Nothing changed; still in force: ", in_force, "."));
  }
};

}  // namespace

std::unique_ptr<Command> AddPolicyReloadCommand(CLI::App& policy) {
  auto command = std::make_unique<PolicyReloadCommand>();
  command->app = policy.add_subcommand("reload", "Put the configuration in force anew");
  AddAgentOption(*command->app, command->agent_, kAgentAdminSocket);
  AddJsonOption(*command->app, command->json_);
  command->app->footer(
      "Needs root. Does what SIGHUP does, and says what came of it: the new generation,\n"
      "or each fault by its line. Exit code 1: nothing changed.\n\n"
      "Example:\n"
      "  postern policy reload");
  return command;
}

}  // namespace postern::cli
