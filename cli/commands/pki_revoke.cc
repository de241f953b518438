// SPDX-License-Identifier: Apache-2.0
// `postern pki revoke NAME`: what was signed for a name until now holds no more.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/json.h"
#include "common/pki/authority.h"
#include "common/status.h"

namespace postern::cli {
namespace {

class PkiRevokeCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    ASSIGN_OR_RETURN(pki::Authority authority, pki::Authority::Open(folder_));
    const uint64_t now_ns = console.now();
    const pki::Role role = operator_ ? pki::Role::kOperator : pki::Role::kAgent;
    RETURN_IF_ERROR(
        authority.Revoke(role, name_, absl::FromUnixNanos(static_cast<int64_t>(now_ns))));
    if (json_) {
      Json json = Json::object();
      json["kind"] = "revocation";
      json["role"] = pki::RoleName(role);
      json["name"] = name_;
      SetTime(json, "until", now_ns);
      WriteJson(console.out, json);
      return ExitCode::kAnswered;
    }
    console.out << "Certificates of " << pki::RoleName(role) << ' ' << name_
                << " up to now are revoked; a running collector cuts them off within seconds.\n";
    return ExitCode::kAnswered;
  }

  std::string folder_;
  std::string name_;
  bool operator_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> AddPkiRevokeCommand(CLI::App& pki) {
  auto command = std::make_unique<PkiRevokeCommand>();
  CLI::App* app = pki.add_subcommand("revoke", "End what was signed for a host or operator");
  command->app = app;
  app->add_option("name", command->name_, "a host, or with --operator an operator")
      ->option_text("NAME")
      ->required();
  app->add_flag("--operator", command->operator_, "NAME is an operator's");
  AddPkiFolderOption(*app, command->folder_);
  AddJsonOption(*app, command->json_);
  app->footer(
      "Tokens of the host that were not used yet are worth nothing either. The host comes back\n"
      "with a new token.\n\n"
      "Examples:\n"
      "  postern pki revoke web1.example.net\n"
      "  postern pki revoke --operator alice");
  return command;
}

}  // namespace postern::cli
