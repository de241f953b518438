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

std::string Names(absl::string_view column, const std::vector<TextMatch>& matches,
                  Parameters& parameters) {
  std::vector<std::string> selects;
  for (const TextMatch& match : matches) {
    std::string select = "SELECT id FROM names WHERE value ";
    if (!match.prefix) {
      absl::StrAppend(&select, "= ", parameters.Add(absl::string_view(match.text)));
    } else {
      absl::StrAppend(&select, ">= ", parameters.Add(absl::string_view(match.text)));
      if (const std::optional<std::string> end = EndOfPrefix(match.text)) {
        absl::StrAppend(&select, " AND value < ", parameters.Add(absl::string_view(*end)));
      }
    }
    selects.push_back(std::move(select));
  }
  return absl::StrCat(column, " IN (", absl::StrJoin(selects, " UNION ALL "), ")");
}

std::string Names(absl::string_view column, const std::vector<std::string>& names,
                  Parameters& parameters) {
  return absl::StrCat(column, " IN (SELECT id FROM names WHERE ", In("value", names, parameters),
                      ")");
}

// A user without a name goes by the number.
std::string Users(const std::vector<std::string>& users, Parameters& parameters) {
  std::string named = Names("user", users, parameters);
  std::vector<uint32_t> uids;
  for (const std::string& user : users) {
    uint32_t uid = 0;
    if (absl::c_all_of(user, absl::ascii_isdigit) && absl::SimpleAtoi(user, &uid)) {
      uids.push_back(uid);
    }
  }
  if (uids.empty()) return named;
  return absl::StrCat("(", named, " OR (user IS NULL AND ", In("uid", uids, parameters), "))");
}

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

std::vector<EventSource> SourcesOf(const EventFilter& filter) {
  std::vector<EventSource> sources;
  for (int span = 0; span < kSpanClasses; ++span) {
    if (filter.hosts.empty() || filter.hosts.size() > kMaxHostsOneByOne) {
      sources.push_back({std::nullopt, span});
      continue;
    }
    for (const std::string& host : filter.hosts) sources.push_back({host, span});
  }
  return sources;
}

std::string SelectionSql(const EventFilter& filter, const EventSource& source,
                         Parameters& parameters) {
  std::vector<std::string> conditions;
  const auto add = [&](std::string condition) { conditions.push_back(std::move(condition)); };
  if (source.host) {
    add(absl::StrCat("host = (SELECT id FROM hosts WHERE host = ",
                     parameters.Add(absl::string_view(*source.host)), ")"));
  } else if (!filter.hosts.empty()) {
    add(absl::StrCat("host IN (SELECT id FROM hosts WHERE ", In("host", filter.hosts, parameters),
                     ")"));
  }
  add(absl::StrCat("span = ", parameters.Add(int64_t{source.span})));
  add(absl::StrCat("time < ", parameters.Add(filter.window.until)));
  if (filter.window.since != kMin) {
    const auto span = static_cast<size_t>(source.span);
    if (span < kSpanBoundsNs.size() && filter.window.since > kMin + kSpanBoundsNs[span]) {
      add(absl::StrCat("time >= ", parameters.Add(filter.window.since - kSpanBoundsNs[span])));
    }
    add(absl::StrCat("last_time >= ", parameters.Add(filter.window.since)));
  }
  if (!filter.users.empty()) add(Users(filter.users, parameters));
  if (!filter.uids.empty()) add(In("uid", filter.uids, parameters));
  if (!filter.exes.empty()) add(Names("exe", filter.exes, parameters));
  if (!filter.scripts.empty()) add(Names("script", filter.scripts, parameters));
  if (!filter.destinations.empty()) {
    std::vector<std::string> ranges;
    for (const AddressRange& range : filter.destinations) {
      std::string between = absl::StrCat("destination BETWEEN ", parameters.Add(range.first));
      absl::StrAppend(&between, " AND ", parameters.Add(range.last));
      ranges.push_back(std::move(between));
    }
    add(absl::StrCat("(", absl::StrJoin(ranges, " OR "), ")"));
  }
  if (!filter.ports.empty()) add(In("port", filter.ports, parameters));
  if (!filter.verdicts.empty()) add(In("verdict", filter.verdicts, parameters));
  if (!filter.rules.empty()) add(Names("rule", filter.rules, parameters));
  if (!filter.kinds.empty()) add(In("kind", filter.kinds, parameters));
  return absl::StrCat("FROM events INDEXED BY ", source.host ? "events_host" : "events_time",
                      " WHERE ", absl::StrJoin(conditions, " AND "));
}

}  // namespace postern::server
