// SPDX-License-Identifier: Apache-2.0
// Which script an interpreter runs, by its command line. Pure function.
#ifndef POSTERN_AGENT_ENRICH_SCRIPT_H_
#define POSTERN_AGENT_ENRICH_SCRIPT_H_

#include <string>

#include "postern/v1/event.pb.h"

namespace postern::enrich {

// The first argument that is no option of the interpreter, as it was written: a
// relative path stays one, the working folder is not known. "" where the binary
// is no interpreter known here, the program stands on the command line (-e) or
// comes from standard input. An argument that was cut is "" too.
std::string ScriptFromArgs(const v1::Event& event);

}  // namespace postern::enrich

#endif  // POSTERN_AGENT_ENRICH_SCRIPT_H_
