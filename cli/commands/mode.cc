// SPDX-License-Identifier: Apache-2.0
// `postern mode`: switches the local agent between watching and stopping.
#include <CLI/CLI.hpp>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/agent_client.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"
#include "common/status.h"

namespace postern::cli {
namespace {

class ModeCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    if (mode_.empty()) {
      return absl::InvalidArgumentError(
          "switch to which mode, monitor or enforce? postern status shows the one in force; see "
          "postern mode --help");
    }
    if (mode_ != "monitor" && mode_ != "enforce") {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", mode_, "\" is not a mode; it is monitor or enforce"));
    }
    ASSIGN_OR_RETURN(Endpoint endpoint, AgentAdminEndpoint(agent_));
    ASSIGN_OR_RETURN(const std::unique_ptr<AgentClient> client,
                     AgentClient::Create(std::move(endpoint)));
    ASSIGN_OR_RETURN(const v1::SetModeResponse response, client->SetMode(mode_));
    if (json_) {
      PrintJson(console, response);
    } else {
      Print(console, response);
    }
    return response.problem().empty() ? ExitCode::kAnswered : ExitCode::kIncomplete;
  }

  std::string agent_;
  std::string mode_;
  bool json_ = false;

 private:
  void PrintJson(Console& console, const v1::SetModeResponse& response) const {
    Json json = Json::object();
    json["kind"] = "mode";
    json["mode"] = mode_;
    json["generation"] = response.generation();
    Json& senders = json["restart_first"] = Json::array();
    for (const v1::Sender& sender : response.restart_first()) {
      Json entry = Json::object();
      entry["pid"] = sender.pid();
      SetText(entry, "comm", sender.comm());
      SetText(entry, "exe", sender.exe());
      SetText(entry, "unit", sender.unit());
      senders.push_back(std::move(entry));
    }
    SetText(json, "problem", response.problem());
    WriteJson(console.out, json);
  }

  void Print(Console& console, const v1::SetModeResponse& response) const {
    console.out << "Mode is now " << mode_ << " (policy generation " << response.generation()
                << "), until `mode:` in the configuration changes.\n";
    if (!response.problem().empty()) {
      console.out << Wrap(Printable(response.problem()),
                          console.width.value_or(std::numeric_limits<size_t>::max()), 0)
                  << '\n';
    }
    if (response.restart_first_size() == 0) return;
    console.out << Wrap(
                       "These senders have a rule that allows them, but were started before the "
                       "agent, so they do not pass it when enforced. Restart or reload them "
                       "(for Postfix: postfix reload):",
                       console.width.value_or(std::numeric_limits<size_t>::max()), 0)
                << '\n';
    Table table(
        {{.heading = "PID", .importance = 3, .right = true},
         {.heading = "COMM", .importance = 1},
         {.heading = "EXE", .importance = 2, .least = 16, .cut = Cut::kMiddle, .below = true},
         {.heading = "UNIT", .importance = 0, .least = 16, .cut = Cut::kMiddle, .below = true}},
        console.width);
    for (const v1::Sender& sender : response.restart_first()) {
      table.AddRow({absl::StrCat(sender.pid()), sender.comm(), sender.exe(), sender.unit()});
    }
    table.Print(console.out);
    table.PrintLeftOut(console.out);
  }
};

}  // namespace

std::unique_ptr<Command> AddModeCommand(CLI::App& root) {
  auto command = std::make_unique<ModeCommand>();
  command->app = root.add_subcommand("mode", "Switch between monitor and enforce, at once");
  command->app->add_option("MODE", command->mode_, "record only, or deny too")
      ->option_text("monitor|enforce");
  AddAgentOption(*command->app, command->agent_, kAgentAdminSocket);
  AddJsonOption(*command->app, command->json_);
  command->app->footer(
      "Needs root. Lasts until the `mode:` value in the configuration changes.\n"
      "Exit code 3: switched, but that is not on the disk yet.\n\n"
      "Examples:\n"
      "  postern mode enforce\n"
      "  postern mode monitor    (takes enforcement back)");
  return command;
}

}  // namespace postern::cli
