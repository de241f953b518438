// SPDX-License-Identifier: Apache-2.0
// Rules that would let through what was recorded, each with its evidence; and, of
// whom no rule could prove anything, why there is none.
#ifndef POSTERN_CLI_PROPOSAL_H_
#define POSTERN_CLI_PROPOSAL_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cli/recorded.h"
#include "postern/v1/event.pb.h"

namespace postern::cli {

// One who sends: what a rule would name of it, and what it did.
struct Applicant {
  v1::Event facts;
  uint64_t attempts = 0;
  uint64_t first_ns = 0;
  uint64_t last_ns = 0;
  std::set<uint32_t> ports;
  // The first kDestinationsKept of them, and whether there were more.
  std::set<std::string> destinations;
  bool more_destinations = false;
  std::set<std::string> scripts;
  // Attempts by "allowed by rule x".
  std::map<std::string, uint64_t> so_far;
  bool to_this_host = false;  // all who speak to the host's own addresses, as one

  static constexpr size_t kDestinationsKept = 16;
};

// Most attempts first.
std::vector<Applicant> ApplicantsOf(const RecordedSenders& senders);

// Why nothing that the record says of it could stand in an allow rule; "" where it
// could, if its binary cannot be replaced either.
std::string WhyNotProven(const Applicant& applicant);

// A rule, as YAML has it.
struct ProposedRule {
  std::string name;
  // Name and value of each field, quoted where YAML needs that.
  std::vector<std::pair<std::string, std::string>> fields;
  // What to know before taking it over; "" if nothing.
  std::string warning;
};

// `taken`: names in use; the new one joins.
ProposedRule Propose(const Applicant& applicant, std::set<std::string>& taken);

}  // namespace postern::cli

#endif  // POSTERN_CLI_PROPOSAL_H_
