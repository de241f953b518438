// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_AGENT_ENRICH_HOLDER_ARGS_H_
#define POSTERN_AGENT_ENRICH_HOLDER_ARGS_H_

#include "postern/v1/event.pb.h"

namespace postern::enrich {

// The arguments of a process that an iterator found holding a socket and whose exec
// was not seen: as it shows them now, which is its own to forge, and as much of them
// as the kernel side keeps. None where it ended, or another has its number.
void AddHolderArgs(v1::Event& event);

}  // namespace postern::enrich

#endif  // POSTERN_AGENT_ENRICH_HOLDER_ARGS_H_
