// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/selection.h"

#include <cstdint>
#include <limits>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "postern/v1/event.pb.h"
#include "server/store/clickhouse/sql.h"
#include "server/store/schema.h"

namespace postern::server::clickhouse {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

std::string In(absl::string_view column, const std::string& list) {
  return absl::StrCat(column, " IN ", list);
}

// Of an event that has none of it the text is empty; that matches nothing.
std::string Matches(absl::string_view column, const std::vector<TextMatch>& matches) {
  std::vector<std::string> any;
  any.reserve(matches.size());
  for (const TextMatch& match : matches) {
    any.push_back(match.prefix ? absl::StrCat("startsWith(", column, ", ", Quoted(match.text), ")")
                               : absl::StrCat(column, " = ", Quoted(match.text)));
  }
  return absl::StrCat("(", column, " != '' AND (", absl::StrJoin(any, " OR "), "))");
}

// A user without a name goes by the number.
std::string Users(const std::vector<std::string>& users) {
  std::string named = absl::StrCat("(user != '' AND ", In("user", List(users)), ")");
  std::vector<uint32_t> uids;
  for (const std::string& user : users) {
    uint32_t uid = 0;
    if (absl::c_all_of(user, absl::ascii_isdigit) && absl::SimpleAtoi(user, &uid)) {
      uids.push_back(uid);
    }
  }
  if (uids.empty()) return named;
  return absl::StrCat("(", named, " OR (user = '' AND ", In("uid", List(uids)), "))");
}

std::string Bytes(const Address& address) {
  return Quoted({reinterpret_cast<const char*>(address.data()), address.size()});
}

// The record of a canary that was denied as it has to be: not one that failed.
std::string IsProof() {
  return absl::StrCat("(kind = ", static_cast<int>(v1::Event::CANARY),
                      " AND verdict = ", static_cast<int>(v1::Event::DENIED), ")");
}

}  // namespace

std::string InWindow(const TimeWindow& window) {
  std::string sql = absl::StrCat("time < ", window.until);
  if (window.since == kMin) return sql;
  // Nothing of a span class that reaches into the window begins earlier than that class
  // is long.
  std::vector<std::string> classes;
  for (size_t span = 0; span < kSpanBoundsNs.size(); ++span) {
    const int64_t bound = kSpanBoundsNs[span];
    const int64_t first = window.since > kMin + bound ? window.since - bound : kMin + 1;
    classes.push_back(absl::StrCat("(span = ", span, " AND time >= ", first, ")"));
  }
  classes.push_back(absl::StrCat("span = ", kSpanBoundsNs.size()));
  absl::StrAppend(&sql, " AND (", absl::StrJoin(classes, " OR "),
                  ") AND time + length >= ", window.since);
  return sql;
}

std::string Matching(const EventFilter& filter) {
  std::vector<std::string> all = {InWindow(filter.window)};
  if (!filter.hosts.empty()) all.push_back(In("host", List(filter.hosts)));
  if (!filter.users.empty()) all.push_back(Users(filter.users));
  if (!filter.uids.empty()) all.push_back(In("uid", List(filter.uids)));
  if (!filter.exes.empty()) all.push_back(Matches("exe", filter.exes));
  if (!filter.scripts.empty()) all.push_back(Matches("script", filter.scripts));
  if (!filter.destinations.empty()) {
    std::vector<std::string> ranges;
    for (const AddressRange& range : filter.destinations) {
      ranges.push_back(
          absl::StrCat("destination BETWEEN ", Bytes(range.first), " AND ", Bytes(range.last)));
    }
    all.push_back(absl::StrCat("(", absl::StrJoin(ranges, " OR "), ")"));
  }
  if (!filter.ports.empty()) all.push_back(In("port", List(filter.ports)));
  if (!filter.verdicts.empty()) all.push_back(In("verdict", List(filter.verdicts)));
  if (!filter.rules.empty()) {
    all.push_back(absl::StrCat("rule != '' AND ", In("rule", List(filter.rules))));
  }
  if (!filter.kinds.empty()) all.push_back(In("kind", List(filter.kinds)));
  return absl::StrJoin(all, " AND ");
}

std::string IsFound(const EventFilter& filter) {
  const std::string shown =
      absl::StrCat("kind NOT IN (", static_cast<int>(v1::Event::KIND_UNSPECIFIED), ", ",
                   static_cast<int>(v1::Event::GAP), ")");
  return filter.canaries ? shown : absl::StrCat(shown, " AND NOT ", IsProof());
}

std::string IsCounted(const EventFilter& filter) {
  if (!filter.kinds.empty()) return IsFound(filter);
  const std::string connect = absl::StrCat("kind = ", static_cast<int>(v1::Event::CONNECT));
  return filter.canaries ? absl::StrCat("(", connect, " OR ", IsProof(), ")") : connect;
}

}  // namespace postern::server::clickhouse
