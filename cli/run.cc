// SPDX-License-Identifier: Apache-2.0
#include "cli/run.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/command.h"
#include "cli/text.h"

namespace postern::cli {
namespace {

constexpr size_t kHelpColumn = 28;

ExitCode Complain(Console& console, ExitCode code, absl::string_view message) {
  console.err << "postern: " << Printable(absl::StrReplaceAll(message, {{"\n", " "}})) << '\n';
  return code;
}

// The innermost command that was named before reading failed.
const CLI::App* Innermost(const CLI::App& app) {
  const std::vector<CLI::App*> named = app.get_subcommands();
  return named.empty() ? &app : Innermost(*named.back());
}

std::string CommandLine(const CLI::App& app) {
  return app.get_parent() == nullptr
             ? app.get_name()
             : absl::StrCat(CommandLine(*app.get_parent()), " ", app.get_name());
}

// First argument that is not an option: where no command was recognized, what
// was meant as one.
std::string Word(int argc, const char* const* argv, const std::string& after) {
  int i = 1;
  while (i < argc && !after.empty() && argv[i] != after) ++i;
  for (i += after.empty() ? 0 : 1; i < argc; ++i) {
    if (argv[i][0] != '-') return argv[i];
  }
  return "";
}

ExitCode Misused(Console& console, const CLI::App& root, const CLI::ParseError& error, int argc,
                 const char* const* argv) {
  const CLI::App* app = Innermost(root);
  std::string message = error.what();
  const std::vector<std::string> unknown = root.remaining(/*recurse=*/true);
  const auto option = std::find_if(unknown.begin(), unknown.end(), [](const std::string& word) {
    return absl::StartsWith(word, "-");
  });
  if (option != unknown.end()) {
    message = absl::StrCat("there is no option ", *option);
  } else if (!unknown.empty()) {
    message = absl::StrCat("nothing is to be done with \"", unknown.front(), "\"");
  }
  const std::vector<const CLI::App*> below =
      app->get_subcommands([](const CLI::App* command) { return !command->get_name().empty(); });
  if (!below.empty() && option == unknown.end()) {
    const std::string word = Word(argc, argv, app == &root ? "" : app->get_name());
    const std::string known =
        absl::StrJoin(below, ", ", [](std::string* out, const CLI::App* command) {
          absl::StrAppend(out, command->get_name());
        });
    if (!word.empty()) {
      message = absl::StrCat("there is no command \"", word, "\"; there is ", known);
    } else if (absl::StrContains(message, "subcommand")) {
      message = absl::StrCat("which command? there is ", known);
    }
  }
  return Complain(console, ExitCode::kUsage,
                  absl::StrCat(message, "; see ", CommandLine(*app), " --help"));
}

}  // namespace

ExitCode Run(int argc, const char* const* argv, Console& console) {
  std::vector<std::unique_ptr<Command>> commands;
  CLI::App root("Names, stops and records the processes that send mail from a host.", "postern");
  root.set_version_flag("--version", "postern " POSTERN_VERSION, "show the version");
  root.set_help_flag("-h,--help", "show this help");
  root.require_subcommand(1);
  root.get_formatter()->column_width(kHelpColumn);
  commands.push_back(AddStatusCommand(root));
  commands.push_back(AddTailCommand(root));
  commands.push_back(AddModeCommand(root));
  CLI::App& policy = AddPolicyCommands(root);
  commands.push_back(AddPolicyTestCommand(policy));
  commands.push_back(AddPolicyShowCommand(policy));
  commands.push_back(AddPolicyReloadCommand(policy));
  commands.push_back(AddPolicyWouldCommand(policy));
  commands.push_back(AddPolicyLearnCommand(policy));
  commands.push_back(AddQueryCommand(root));
  commands.push_back(AddEvidenceCommand(root));
  commands.push_back(AddHostsCommand(root));
  CLI::App& pki = AddPkiCommands(root);
  commands.push_back(AddPkiInitCommand(pki));
  commands.push_back(AddPkiTokenCommand(pki));
  commands.push_back(AddPkiOperatorCommand(pki));
  commands.push_back(AddPkiRevokeCommand(pki));
  root.footer(
      "Examples:\n"
      "  postern status\n"
      "  postern query --at '2026-03-01 14:30' --window 15m\n"
      "  postern COMMAND --help");

  try {
    root.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    std::ostringstream text;
    root.exit(asked, text, text);
    console.out << absl::StrReplaceAll(text.str(), {{"\n\n\n", "\n\n"}}) << std::flush;
    return ExitCode::kAnswered;
  } catch (const CLI::ParseError& error) {
    return Misused(console, root, error, argc, argv);
  }

  for (const std::unique_ptr<Command>& command : commands) {
    if (!command->app->parsed()) continue;
    const absl::StatusOr<ExitCode> code = command->Run(console);
    if (!console.out.flush()) {
      return Complain(console, ExitCode::kError,
                      "cannot write the answer; is the disk full, or the reader gone?");
    }
    if (code.ok()) return *code;
    return Complain(console,
                    absl::IsInvalidArgument(code.status()) ? ExitCode::kUsage : ExitCode::kError,
                    code.status().message());
  }
  return Complain(console, ExitCode::kUsage, "which command? see postern --help");
}

}  // namespace postern::cli
