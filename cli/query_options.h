// SPDX-License-Identifier: Apache-2.0
// The options of `postern query`, and what they mean.
#ifndef POSTERN_CLI_QUERY_OPTIONS_H_
#define POSTERN_CLI_QUERY_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/time_text.h"
#include "postern/v1/query.pb.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace postern::cli {

struct TimeRange {
  std::optional<uint64_t> since_ns;
  std::optional<uint64_t> until_ns;
  // For people: "of the last 24 hours, since …".
  std::string text;
  // The year of all times in it, where there is one.
  std::optional<int> year;
};

// Of a window (until is the first that does not belong to it) what can be on record.
struct SoFar {
  // Its own end, or now where that comes first and it has begun.
  uint64_t until_ns = 0;
  // For people, behind the window's text: "" or ", up to now, …: later has not happened yet".
  std::string text;
};
SoFar SoFarOf(uint64_t since_ns, uint64_t until_ns, uint64_t now_ns, Zone zone);

// As they stand on the command line.
class QueryOptions {
 public:
  // Neither may be used without the other.
  void AddTo(CLI::App& app);

  // InvalidArgument: one line that names the option and what it takes.
  absl::StatusOr<TimeRange> Range(uint64_t now_ns, Zone zone) const;
  absl::StatusOr<v1::Filter> Filter(const TimeRange& range) const;

 private:
  // InvalidArgument: something was given that nothing can be like.
  absl::Status CheckGiven() const;
  absl::Status CheckTexts() const;

  // Of the app; empty before AddTo().
  std::vector<const CLI::Option*> times_;
  std::string since_, until_, at_, window_;
  std::vector<std::string> hosts_, users_, uids_, exes_, scripts_, destinations_, ports_, verdicts_,
      rules_, kinds_;
  bool canaries_ = false;
};

// ADDRESS:PORT, an IPv6 address in brackets: what is wrong with it, or Ok.
absl::Status CheckAddressAndPort(const std::string& text);

// --limit; 0 means all.
absl::StatusOr<uint32_t> ParseLimit(const std::string& text);

// Names of JSON fields, as --group-by takes them: several in a text, by commas.
absl::StatusOr<std::vector<std::string>> ReadGroupFields(const std::vector<std::string>& texts);

}  // namespace postern::cli

#endif  // POSTERN_CLI_QUERY_OPTIONS_H_
