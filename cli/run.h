// SPDX-License-Identifier: Apache-2.0
// The command line as a function.
#ifndef POSTERN_CLI_RUN_H_
#define POSTERN_CLI_RUN_H_

#include "cli/console.h"

namespace postern::cli {

// Reads the arguments, runs the command they name and returns the exit code.
// What went wrong is one line on `console.err`.
ExitCode Run(int argc, const char* const* argv, Console& console);

}  // namespace postern::cli

#endif  // POSTERN_CLI_RUN_H_
