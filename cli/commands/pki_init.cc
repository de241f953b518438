// SPDX-License-Identifier: Apache-2.0
// `postern pki init`: makes a certificate authority, and the collector's certificate.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <climits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/text.h"
#include "common/pki/authority.h"
#include "common/status.h"

namespace postern::cli {
namespace {

std::string OwnName() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

class PkiInitCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    std::vector<std::string> names = names_;
    if (names.empty()) names = {OwnName()};
    for (const std::string& name : names) RETURN_IF_ERROR(pki::CheckServerName(name));
    // It goes into a configuration, which is read in another folder.
    ASSIGN_OR_RETURN(const std::string folder, AbsoluteFolder("--dir", folder_));
    const absl::Time now = absl::FromUnixNanos(static_cast<int64_t>(console.now()));
    ASSIGN_OR_RETURN(const pki::Authority authority, pki::Authority::Init(folder, names, now));
    if (json_) {
      Json json = Json::object();
      json["kind"] = "authority";
      json["folder"] = folder;
      json["ca_pin"] = authority.Fingerprint();
      json["names"] = names;
      WriteJson(console.out, json);
      return ExitCode::kAnswered;
    }
    console.out << "CA in " << Printable(folder) << ", SHA-256 " << authority.Fingerprint() << '\n'
                << "The collector shows a certificate for " << absl::StrJoin(names, ", ")
                << ": agents and operators must reach it by that.\n"
                << "Now write `listen: [\"0.0.0.0:7425\"]` in collector.yaml";
    if (folder != pki::kDefaultFolder) {
      // Quoted as in JSON, which is YAML.
      console.out << ", with `pki: {dir: "
                  << Json(folder).dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true,
                                       Json::error_handler_t::replace)
                  << "}`,";
    }
    console.out << " and restart postern-collector; then, for each host: postern pki token HOST\n";
    return ExitCode::kAnswered;
  }

  std::string folder_;
  std::vector<std::string> names_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> AddPkiInitCommand(CLI::App& pki) {
  auto command = std::make_unique<PkiInitCommand>();
  command->app = pki.add_subcommand("init", "Make a CA, and the collector's certificate");
  command->app
      ->add_option(
          "--name", command->names_,
          "name or address, without a port, by which\nthe collector is reached; several: again")
      ->option_text("NAME");
  AddPkiFolderOption(*command->app, command->folder_);
  AddJsonOption(*command->app, command->json_);
  command->app->footer(
      "Without --name, this machine's own. The collector renews its certificate by itself.\n\n"
      "Example:\n"
      "  postern pki init --name collector.example.net --name 192.0.2.10");
  return command;
}

}  // namespace postern::cli
