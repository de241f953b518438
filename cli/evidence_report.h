// SPDX-License-Identifier: Apache-2.0
// The report of `postern evidence`, for people and for programs.
#ifndef POSTERN_CLI_EVIDENCE_REPORT_H_
#define POSTERN_CLI_EVIDENCE_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "cli/console.h"
#include "cli/evidence.h"
#include "common/time_text.h"
#include "postern/v1/event.pb.h"
#include "postern/v1/query.pb.h"

namespace postern::cli {

struct Subject {
  std::string host;
  // Nanoseconds since the epoch; until is the first that does not belong to it. What was
  // asked for may lie ahead; the report speaks of what has happened.
  uint64_t since_ns = 0;
  uint64_t until_ns = 0;
  uint64_t asked_until_ns = 0;
  // For people.
  std::string text;
};

// What the collector answered, and who asked.
struct Report {
  Subject subject;
  Evidence evidence;
  // Up to the beginning.
  PolicyBefore policy;
  // As the collector knows it when the report is made; empty where it does not.
  v1::Host host;
  v1::Completeness completeness;
  std::string collector;
  uint64_t made_ns = 0;
};

void PrintReport(const Report& report, Zone zone, Console& console);
// An object a line.
void PrintReportAsJson(const Report& report, Console& console);

}  // namespace postern::cli

#endif  // POSTERN_CLI_EVIDENCE_REPORT_H_
