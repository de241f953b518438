// SPDX-License-Identifier: Apache-2.0
#include "agent/command_line.h"

#include <CLI/CLI.hpp>

namespace postern::agent {

std::variant<CommandLine, ExitCode> ReadCommandLine(int argc, const char* const* argv,
                                                    std::ostream& out, std::ostream& err) {
  CommandLine line;
  CLI::App app{"Watches this host's outbound SMTP connections: names, stops and records them.",
               "posternd"};
  CLI::Option* config = app.add_option("--config", line.config_file, "Configuration")
                            ->capture_default_str()
                            ->type_name("FILE");
  std::string file_to_check;
  CLI::Option* check = app.add_option("--check-config", file_to_check,
                                      "Say what is wrong with FILE, by line, and leave")
                           ->type_name("FILE")
                           ->excludes(config);
  bool release_asked = false;
  CLI::Option* release = app.add_flag("--release", release_asked,
                                      "Take down what is pinned, enforcement included, and leave");
  release->excludes(check);
  CLI::Option* enrol =
      app.add_option("--enroll", line.enrol.address,
                     "Get this host's certificate from the collector at ADDRESS, and leave")
          ->type_name("HOST:PORT")
          ->excludes(check)
          ->excludes(release);
  CLI::Option* token = app.add_option("--token", line.enrol.token,
                                      "For --enroll: from `postern pki token`, good once")
                           ->type_name("T")
                           ->needs(enrol);
  CLI::Option* pin = app.add_option("--ca-pin", line.enrol.ca_pin,
                                    "For --enroll: fingerprint of the collector's CA")
                         ->type_name("SHA256")
                         ->needs(enrol);
  enrol->needs(token)->needs(pin);
  app.set_version_flag("--version", std::string("posternd " POSTERN_VERSION));
  app.footer(
      "Exit codes: 0 stopped as asked, 1 could not run, 2 configuration or command line refused.\n"
      "\n"
      "Examples:\n"
      "  posternd --check-config /etc/postern/agent.yaml\n"
      "  posternd --config /etc/postern/agent.yaml\n"
      "  posternd --config /etc/postern/agent.yaml --release\n"
      "  posternd --enroll collector.example.net:7425 --token T --ca-pin SHA256");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? kStopped : kRefused;
  }
  if (check->count() > 0) {
    line.task = CommandLine::Task::kCheckConfig;
    line.config_file = file_to_check;
  } else if (release_asked) {
    line.task = CommandLine::Task::kRelease;
  } else if (enrol->count() > 0) {
    line.task = CommandLine::Task::kEnrol;
  }
  return line;
}

}  // namespace postern::agent
