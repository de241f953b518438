// SPDX-License-Identifier: Apache-2.0
// `postern pki revoke NAME`: what was signed for a name until now holds no more.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/json.h"
#include "common/nearest_name.h"
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
    // Before tokens of that name are gone.
    const std::vector<std::string> known = authority.KnownNames(role);
    const bool on_record = std::binary_search(known.begin(), known.end(), name_);
    RETURN_IF_ERROR(
        authority.Revoke(role, name_, absl::FromUnixNanos(static_cast<int64_t>(now_ns))));
    if (json_) {
      Json json = Json::object();
      json["kind"] = "revocation";
      json["role"] = pki::RoleName(role);
      json["name"] = name_;
      SetTime(json, "until", now_ns);
      json["on_record"] = on_record;
      WriteJson(console.out, json);
      return ExitCode::kAnswered;
    }
    console.out << "Certificates of " << pki::RoleName(role) << ' ' << name_
                << " up to now are revoked; a running collector cuts them off within seconds.\n";
    if (!on_record) console.out << Doubt(role, known);
    return ExitCode::kAnswered;
  }

  // What whoever mistyped the name wants to know.
  std::string Doubt(pki::Role role, const std::vector<std::string>& known) const {
    std::string line = absl::StrCat("But none was signed here for ", pki::RoleName(role), " ",
                                    name_, ", as far as is on record");
    const std::vector<absl::string_view> names(known.begin(), known.end());
    if (const absl::string_view near = NearestName(name_, names); !near.empty()) {
      absl::StrAppend(&line, "; did you mean ", near, "?");
    }
    return line + "\n";
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
      "with a new token. A name that no certificate was signed for here is revoked all the same,\n"
      "since another folder of the same CA may have; the answer says so.\n\n"
      "Examples:\n"
      "  postern pki revoke web1.example.net\n"
      "  postern pki revoke --operator alice");
  return command;
}

}  // namespace postern::cli
