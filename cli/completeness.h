// SPDX-License-Identifier: Apache-2.0
// What a collector says about its record for the time that was asked for.
#ifndef POSTERN_CLI_COMPLETENESS_H_
#define POSTERN_CLI_COMPLETENESS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "cli/json.h"
#include "common/time_text.h"
#include "postern/v1/query.pb.h"

namespace postern::cli {

// "12 events missing between A and B UTC: the spool was full".
std::string GapText(const v1::Gap& gap, Zone zone);

// A line for each gap, one for silent hosts and one for unknown ones, and a last line that says it
// all. `limit`: how many rows were asked for; 0: all.
void PrintCompleteness(std::ostream& out, const v1::Completeness& completeness, Zone zone,
                       std::optional<size_t> width, uint32_t limit = 0);

// {"kind":"completeness", …}; a flag is there whether true or false.
Json CompletenessJson(const v1::Completeness& completeness);

}  // namespace postern::cli

#endif  // POSTERN_CLI_COMPLETENESS_H_
