// SPDX-License-Identifier: Apache-2.0
// `postern policy test`: which rule would judge an attempt, and why.
#include <CLI/CLI.hpp>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "cli/agent_client.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/query_options.h"
#include "cli/text.h"
#include "common/event_json.h"
#include "common/status.h"

namespace postern::cli {
namespace {

class PolicyTestCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    RETURN_IF_ERROR(CheckAddressAndPort(request_to_));
    if (exe_.empty() || exe_[0] != '/') {
      return absl::InvalidArgumentError("--exe: \"" + exe_ +
                                        "\" is not a whole path; write it like /usr/bin/php8.2");
    }
    RETURN_IF_ERROR(CheckAsked("--user", user_));
    RETURN_IF_ERROR(CheckAsked("--exe", exe_));
    for (const char* option : {"--unit", "--script"}) {
      const CLI::Option* given = app->get_option(option);
      if (given->count() > 0) RETURN_IF_ERROR(CheckAsked(option, given->as<std::string>()));
    }
    ASSIGN_OR_RETURN(Endpoint endpoint, AgentReadEndpoint(agent_));
    ASSIGN_OR_RETURN(const std::unique_ptr<AgentClient> client,
                     AgentClient::Create(std::move(endpoint)));
    v1::TestPolicyRequest request;
    request.set_user(user_);
    request.set_exe(exe_);
    request.set_to(request_to_);
    request.set_unit(unit_);
    request.set_script(script_);
    ASSIGN_OR_RETURN(const v1::TestPolicyResponse response, client->TestPolicy(request));
    if (json_) {
      Json json = Json::object();
      json["kind"] = "policy_test";
      json["judged"] = !response.rule().empty();
      SetText(json, "verdict", VerdictName(response.verdict()));
      SetText(json, "rule", response.rule());
      json["generation"] = response.generation();
      Json& reasons = json["reasons"] = Json::array();
      for (const std::string& reason : response.reasons()) reasons.push_back(reason);
      WriteJson(console.out, json);
      return ExitCode::kAnswered;
    }
    // No rule, not even the default: the port is not watched.
    if (response.rule().empty()) {
      console.out << "not judged";
    } else {
      console.out << VerdictName(response.verdict()) << " by rule " << Printable(response.rule());
    }
    console.out << " (policy generation " << response.generation() << ")\n";
    const size_t width = console.width.value_or(std::numeric_limits<size_t>::max());
    for (const std::string& reason : response.reasons()) {
      console.out << Wrap("- " + Printable(reason), width, 2) << '\n';
    }
    return ExitCode::kAnswered;
  }

  std::string agent_;
  std::string user_;
  std::string exe_;
  std::string request_to_;
  std::string unit_;
  std::string script_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> AddPolicyTestCommand(CLI::App& policy) {
  auto command = std::make_unique<PolicyTestCommand>();
  command->app = policy.add_subcommand("test", "Which rule would judge this, and why");
  command->app->add_option("--user", command->user_, "who connects: name or number")
      ->option_text("USER")
      ->required()
      ->group("What to judge");
  command->app->add_option("--exe", command->exe_, "with which binary")
      ->option_text("PATH")
      ->required()
      ->group("What to judge");
  command->app->add_option("--to", command->request_to_, "where to; IPv6 in brackets")
      ->option_text("ADDRESS:PORT")
      ->required()
      ->group("What to judge");
  command->app->add_option("--unit", command->unit_, "in which cgroup; absent: taken to match")
      ->option_text("PATH")
      ->group("What to judge");
  command->app->add_option("--script", command->script_, "running which script; likewise")
      ->option_text("PATH")
      ->group("What to judge");
  AddAgentOption(*command->app, command->agent_, kAgentReadSocket);
  AddJsonOption(*command->app, command->json_);
  command->app->footer(
      "Nothing is connected: the agent only says how it would judge.\n\n"
      "Examples:\n"
      "  postern policy test --user www-data --exe /usr/bin/php8.2 --to 192.0.2.25:25\n"
      "  postern policy test --user postfix --exe /usr/lib/postfix/sbin/smtp \\\n"
      "      --to '[2001:db8::25]:25' --unit /system.slice/postfix.service");
  return command;
}

}  // namespace postern::cli
