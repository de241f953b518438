// SPDX-License-Identifier: Apache-2.0
#include "server/store/event_selection.h"

#include <limits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/store/schema.h"

namespace postern::server {
namespace {

// Each host and span class repeats the filter's parameters in a grouping
// statement; SQLite takes 32,766.
constexpr size_t kMaxHostsOneByOne = 4;

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

template <typename Values>
std::string In(absl::string_view column, const Values& values, Parameters& parameters) {
  std::vector<absl::string_view> places;
  for (const auto& value : values) {
    if constexpr (std::is_integral_v<std::decay_t<decltype(value)>>) {
      places.push_back(parameters.Add(int64_t{value}));
    } else {
      places.push_back(parameters.Add(absl::string_view(value)));
    }
  }
  return absl::StrCat(column, " IN (", absl::StrJoin(places, ","), ")");
}

// The first text that sorts behind all that begin with `prefix`; nullopt when
// none does.
std::optional<std::string> EndOfPrefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (prefix.empty()) return std::nullopt;
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

std::string Matches(absl::string_view column, const std::vector<TextMatch>& matches,
                    Parameters& parameters) {
  std::vector<std::string> any;
  for (const TextMatch& match : matches) {
    if (!match.prefix) {
      any.push_back(absl::StrCat(column, " = ", parameters.Add(absl::string_view(match.text))));
      continue;
    }
    std::string range =
        absl::StrCat("(", column, " >= ", parameters.Add(absl::string_view(match.text)));
    if (const std::optional<std::string> end = EndOfPrefix(match.text)) {
      absl::StrAppend(&range, " AND ", column, " < ", parameters.Add(absl::string_view(*end)));
    }
    any.push_back(absl::StrCat(range, ")"));
  }
  return absl::StrCat("(", absl::StrJoin(any, " OR "), ")");
}

// A user without a name goes by the number.
std::string Users(const std::vector<std::string>& users, Parameters& parameters) {
  std::string named = In("t.user", users, parameters);
  std::vector<uint32_t> uids;
  for (const std::string& user : users) {
    uint32_t uid = 0;
    if (absl::c_all_of(user, absl::ascii_isdigit) && absl::SimpleAtoi(user, &uid)) {
      uids.push_back(uid);
    }
  }
  if (uids.empty()) return named;
  return absl::StrCat("(", named, " OR (t.user IS NULL AND ", In("t.uid", uids, parameters), "))");
}

// The range lies within IPv4 or outside of it: ParseRanges().
std::string Between(const AddressRange& range, Parameters& parameters) {
  const std::optional<int64_t> first = Ipv4Number(range.first);
  const std::optional<int64_t> last = Ipv4Number(range.last);
  // Numbers sort before bytes.
  std::string sql = absl::StrCat("e.destination BETWEEN ",
                                 first ? parameters.Add(*first) : parameters.Add(range.first));
  absl::StrAppend(&sql, " AND ", last ? parameters.Add(*last) : parameters.Add(range.last));
  return sql;
}

// All but the window; of a few hosts `host_by_source` says that the source has it.
std::vector<std::string> Conditions(const EventFilter& filter, bool host_by_source,
                                    Parameters& parameters) {
  std::vector<std::string> conditions;
  const auto add = [&](std::string condition) { conditions.push_back(std::move(condition)); };
  if (!host_by_source && !filter.hosts.empty()) {
    add(absl::StrCat("e.host IN (SELECT id FROM hosts WHERE ", In("host", filter.hosts, parameters),
                     ")"));
  }
  if (!filter.users.empty()) add(Users(filter.users, parameters));
  if (!filter.uids.empty()) add(In("t.uid", filter.uids, parameters));
  if (!filter.exes.empty()) add(Matches("t.exe", filter.exes, parameters));
  if (!filter.scripts.empty()) add(Matches("t.script", filter.scripts, parameters));
  if (!filter.destinations.empty()) {
    std::vector<std::string> ranges;
    for (const AddressRange& range : filter.destinations) {
      ranges.push_back(Between(range, parameters));
    }
    add(absl::StrCat("(", absl::StrJoin(ranges, " OR "), ")"));
  }
  if (!filter.ports.empty()) add(In("e.port", filter.ports, parameters));
  if (!filter.verdicts.empty()) add(In("e.verdict", filter.verdicts, parameters));
  if (!filter.rules.empty()) add(In("t.rule", filter.rules, parameters));
  if (!filter.kinds.empty()) add(In("e.kind", filter.kinds, parameters));
  return conditions;
}

constexpr absl::string_view kJoinTraits = " CROSS JOIN traits t ON t.id = e.traits";

}  // namespace

absl::string_view Parameters::Add(int64_t value) {
  values_.emplace_back(value);
  return "?";
}

absl::string_view Parameters::Add(absl::string_view text) {
  values_.emplace_back(std::string(text));
  return "?";
}

absl::string_view Parameters::Add(const Address& address) {
  values_.emplace_back(address);
  return "?";
}

void Parameters::BindTo(Statement& statement) const {
  int parameter = 0;
  for (const auto& value : values_) {
    ++parameter;
    if (const auto* number = std::get_if<int64_t>(&value)) {
      statement.Bind(parameter, *number);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      statement.Bind(parameter, absl::string_view(*text));
    } else {
      const auto& address = std::get<Address>(value);
      statement.BindBlob(parameter,
                         {reinterpret_cast<const char*>(address.data()), address.size()});
    }
  }
}

std::vector<EventSource> SourcesOf(const EventFilter& filter, int64_t spans) {
  std::vector<EventSource> sources;
  for (int span = 0; span < kSpanClasses; ++span) {
    if ((spans >> span & 1) == 0) continue;
    if (filter.hosts.empty() || filter.hosts.size() > kMaxHostsOneByOne) {
      sources.push_back({std::nullopt, span});
      continue;
    }
    for (const std::string& host : filter.hosts) sources.push_back({host, span});
  }
  return sources;
}

bool FiltersTraits(const EventFilter& filter) {
  return !filter.users.empty() || !filter.uids.empty() || !filter.exes.empty() ||
         !filter.scripts.empty() || !filter.rules.empty();
}

std::string FromEvents(const EventFilter& filter, const EventSource& source, bool joins,
                       Parameters& parameters) {
  std::vector<std::string> conditions;
  if (source.host) {
    conditions.push_back(absl::StrCat("e.host = (SELECT id FROM hosts WHERE host = ",
                                      parameters.Add(absl::string_view(*source.host)), ")"));
  }
  conditions.push_back(absl::StrCat("e.span = ", parameters.Add(int64_t{source.span})));
  conditions.push_back(absl::StrCat("e.time < ", parameters.Add(filter.window.until)));
  if (filter.window.since != kMin) {
    const auto span = static_cast<size_t>(source.span);
    if (span < kSpanBoundsNs.size() && filter.window.since > kMin + kSpanBoundsNs[span]) {
      conditions.push_back(
          absl::StrCat("e.time >= ", parameters.Add(filter.window.since - kSpanBoundsNs[span])));
    }
    conditions.push_back(
        absl::StrCat("e.time + e.length >= ", parameters.Add(filter.window.since)));
  }
  for (std::string& condition : Conditions(filter, source.host.has_value(), parameters)) {
    conditions.push_back(std::move(condition));
  }
  return absl::StrCat("FROM events e INDEXED BY ", source.host ? "events_host" : "events_time",
                      joins || FiltersTraits(filter) ? kJoinTraits : "",
                      joins ? " CROSS JOIN hosts h ON h.id = e.host" : "", " WHERE ",
                      absl::StrJoin(conditions, " AND "));
}

std::string FromEventsAfter(const EventFilter& filter, int64_t id, Parameters& parameters) {
  std::string sql = absl::StrCat("FROM events e", FiltersTraits(filter) ? kJoinTraits : "",
                                 " WHERE e.id > ", parameters.Add(id));
  for (const std::string& condition : Conditions(filter, /*host_by_source=*/false, parameters)) {
    absl::StrAppend(&sql, " AND ", condition);
  }
  return sql;
}

std::string FromSummaries(const EventFilter& filter, int64_t first_hour, int64_t end_hour,
                          Parameters& parameters) {
  std::string sql = absl::StrCat("FROM summaries e", FiltersTraits(filter) ? kJoinTraits : "",
                                 " WHERE e.hour >= ", parameters.Add(first_hour));
  absl::StrAppend(&sql, " AND e.hour < ", parameters.Add(end_hour));
  for (const std::string& condition : Conditions(filter, /*host_by_source=*/false, parameters)) {
    absl::StrAppend(&sql, " AND ", condition);
  }
  return sql;
}

}  // namespace postern::server
