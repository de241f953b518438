// SPDX-License-Identifier: Apache-2.0
// `postern pki token HOST`: a join token for one agent.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/json.h"
#include "common/pki/authority.h"
#include "common/status.h"
#include "common/time_text.h"

namespace postern::cli {
namespace {

// It lies about until then, and whoever finds it is that host.
constexpr absl::Duration kLongest = absl::Hours(24 * 30);

class PkiTokenCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    ASSIGN_OR_RETURN(const absl::Duration valid, ReadValidity("--expires", expires_, kLongest));
    const auto valid_ns = static_cast<uint64_t>(absl::ToInt64Nanoseconds(valid));
    const uint64_t now_ns = console.now();
    ASSIGN_OR_RETURN(pki::Authority authority, pki::Authority::Open(folder_));
    ASSIGN_OR_RETURN(
        const std::string token,
        authority.MakeToken(host_, absl::FromUnixNanos(static_cast<int64_t>(now_ns)), valid));
    if (json_) {
      Json json = Json::object();
      json["kind"] = "token";
      json["host"] = host_;
      json["token"] = token;
      SetTime(json, "expires", now_ns + valid_ns);
      json["ca_pin"] = authority.Fingerprint();
      WriteJson(console.out, json);
      return ExitCode::kAnswered;
    }
    console.out << "Once, and within " << FormatDuration(valid_ns) << ", on " << host_
                << " as root:\n  posternd --enroll COLLECTOR:7425 --token " << token << " --ca-pin "
                << authority.Fingerprint() << '\n';
    return ExitCode::kAnswered;
  }

  std::string folder_;
  std::string host_;
  std::string expires_ = "1h";
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> AddPkiTokenCommand(CLI::App& pki) {
  auto command = std::make_unique<PkiTokenCommand>();
  command->app = pki.add_subcommand("token", "Make a join token, with which one agent enrols");
  command->app
      ->add_option(
          "host", command->host_,
          "as the agent calls itself: `host:` in\nits configuration, or the machine's name")
      ->option_text("HOST")
      ->required();
  command->app
      ->add_option("--expires", command->expires_, "after so long, from 1s to 30d;\nif absent 1h")
      ->option_text("DURATION");
  AddPkiFolderOption(*command->app, command->folder_);
  AddJsonOption(*command->app, command->json_);
  command->app->footer("Example:\n  postern pki token web1.example.net --expires 15m");
  return command;
}

}  // namespace postern::cli
