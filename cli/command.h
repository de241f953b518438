// SPDX-License-Identifier: Apache-2.0
// One command of the command line: its options, and what it does.
#ifndef POSTERN_CLI_COMMAND_H_
#define POSTERN_CLI_COMMAND_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/console.h"
#include "cli/endpoint.h"

namespace CLI {
class App;
}  // namespace CLI

namespace postern::cli {

// Its options are bound to its members: it must outlive the App they were added to.
class Command {
 public:
  virtual ~Command() = default;

  // InvalidArgument: wrongly used. Any other error: could not be answered. The
  // message is one line for a person.
  virtual absl::StatusOr<ExitCode> Run(Console& console) = 0;

  // Null until added; owned by the root App.
  CLI::App* app = nullptr;
};

// Each adds itself below `root` and returns what to run when it was chosen.
std::unique_ptr<Command> AddStatusCommand(CLI::App& root);
std::unique_ptr<Command> AddTailCommand(CLI::App& root);
std::unique_ptr<Command> AddModeCommand(CLI::App& root);
// The command above those on the policy; those are added below it.
CLI::App& AddPolicyCommands(CLI::App& root);
std::unique_ptr<Command> AddPolicyTestCommand(CLI::App& policy);
std::unique_ptr<Command> AddPolicyShowCommand(CLI::App& policy);
std::unique_ptr<Command> AddPolicyReloadCommand(CLI::App& policy);
std::unique_ptr<Command> AddPolicyWouldCommand(CLI::App& policy);
std::unique_ptr<Command> AddPolicyLearnCommand(CLI::App& policy);
// The command above those on certificates.
CLI::App& AddPkiCommands(CLI::App& root);
std::unique_ptr<Command> AddPkiInitCommand(CLI::App& pki);
std::unique_ptr<Command> AddPkiTokenCommand(CLI::App& pki);
std::unique_ptr<Command> AddPkiOperatorCommand(CLI::App& pki);
std::unique_ptr<Command> AddPkiRevokeCommand(CLI::App& pki);
std::unique_ptr<Command> AddQueryCommand(CLI::App& root);
std::unique_ptr<Command> AddEvidenceCommand(CLI::App& root);
std::unique_ptr<Command> AddHostsCommand(CLI::App& root);

// Options that several commands share.
// What a daemon is asked for, as `option` says: neither empty nor anything but UTF-8.
absl::Status CheckAsked(absl::string_view option, const std::string& text);
void AddJsonOption(CLI::App& app, bool& json);
void AddLocalOption(CLI::App& app, bool& local);
// Of the commands on certificates: where the authority is.
void AddPkiFolderOption(CLI::App& app, std::string& folder);
// Likewise: how long something is good for, as `option` says; from a second to `most`.
absl::StatusOr<absl::Duration> ReadValidity(absl::string_view option, const std::string& text,
                                            absl::Duration most);
// Likewise: a folder that `option` names, as it is called from anywhere.
absl::StatusOr<std::string> AbsoluteFolder(absl::string_view option, const std::string& folder);
void AddAgentOption(CLI::App& app, std::string& address, const std::string& by_default);

struct CollectorOptions {
  std::string address = kCollectorSocket;
  // Of PEM files, for connections over TLS.
  std::string ca, cert, key;

  void AddTo(CLI::App& app);
  // As CollectorEndpoint().
  absl::StatusOr<Endpoint> ToEndpoint() const;
};

}  // namespace postern::cli

#endif  // POSTERN_CLI_COMMAND_H_
