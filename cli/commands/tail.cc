// SPDX-License-Identifier: Apache-2.0
// `postern tail`: the local agent's events, as they happen.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>

#include "cli/agent_client.h"
#include "cli/command.h"
#include "cli/event_table.h"
#include "cli/json.h"
#include "common/event_json.h"
#include "common/status.h"

namespace postern::cli {
namespace {

class TailCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    ASSIGN_OR_RETURN(Endpoint endpoint, AgentReadEndpoint(agent_));
    const UniqueFd interrupts = console.take_interrupts();
    ASSIGN_OR_RETURN(const std::unique_ptr<AgentClient> client,
                     AgentClient::Create(std::move(endpoint)));
    EventTable::Options options;
    options.zone = local_ ? Zone::kLocal : Zone::kUtc;
    options.width = console.width;
    options.live = true;
    EventTable table(options);
    if (!json_ && console.width) {
      console.out << "Attempts from now on; Ctrl-C ends.\n" << std::flush;
    }
    v1::TailRequest request;
    request.set_canaries(canaries_);
    RETURN_IF_ERROR(client->Tail(request, interrupts.get(), [&](const v1::Event& event) {
      if (json_) {
        WriteJsonText(console.out, EventToJson(event));
      } else {
        table.Add(event);
        table.Print(console.out);
      }
      // Each is seen at once, and a reader that has left ends this.
      return static_cast<bool>(console.out.flush());
    }));
    return ExitCode::kAnswered;
  }

  std::string agent_;
  bool canaries_ = false;
  bool json_ = false;
  bool local_ = false;
};

}  // namespace

std::unique_ptr<Command> AddTailCommand(CLI::App& root) {
  auto command = std::make_unique<TailCommand>();
  command->app = root.add_subcommand("tail", "Live events of the local agent");
  AddAgentOption(*command->app, command->agent_, kAgentReadSocket);
  command->app->add_flag("--canary", command->canaries_,
                         "with the agent's own proofs that denials work");
  AddJsonOption(*command->app, command->json_);
  AddLocalOption(*command->app, command->local_);
  command->app->footer(
      "Runs until Ctrl-C. --json has more than the table shows. In the order of time;\n"
      "only when thousands come at once denied ones are shown before the others.\n\n"
      "Examples:\n"
      "  postern tail\n"
      "  postern tail --json | jq 'select(.verdict == \"denied\")'");
  return command;
}

}  // namespace postern::cli
