// SPDX-License-Identifier: Apache-2.0
// What posternd is asked to do, and what it answers with when it leaves.
#ifndef POSTERN_AGENT_COMMAND_LINE_H_
#define POSTERN_AGENT_COMMAND_LINE_H_

#include <iosfwd>
#include <string>
#include <variant>

#include "agent/enrolment/enrol.h"

namespace postern::agent {

enum ExitCode {
  kStopped = 0,      // as asked; also what was only a question
  kCouldNotRun = 1,  // one line says why, and what would mend it
  kRefused = 2,      // the configuration or the command line: trying again mends neither
};

struct CommandLine {
  enum class Task { kRun, kCheckConfig, kRelease, kEnrol };

  Task task = Task::kRun;
  std::string config_file = "/etc/postern/agent.yaml";
  // kEnrol
  enrolment::Token enrol;
};

// An exit code where nothing is left to do: help and version were printed to
// `out`, or what is wrong with the arguments to `err`.
std::variant<CommandLine, ExitCode> ReadCommandLine(int argc, const char* const* argv,
                                                    std::ostream& out, std::ostream& err);

}  // namespace postern::agent

#endif  // POSTERN_AGENT_COMMAND_LINE_H_
