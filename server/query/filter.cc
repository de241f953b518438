// SPDX-License-Identifier: Apache-2.0
#include "server/query/filter.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status.h"

namespace postern::server {
namespace {

constexpr std::pair<absl::string_view, GroupField> kGroupFields[] = {
    {"host", GroupField::kHost},
    {"user", GroupField::kUser},
    {"uid", GroupField::kUid},
    {"exe", GroupField::kExe},
    {"script", GroupField::kScript},
    {"destination", GroupField::kDestination},
    {"port", GroupField::kPort},
    {"verdict", GroupField::kVerdict},
    {"rule", GroupField::kRule},
    {"unit", GroupField::kUnit},
    {"container", GroupField::kContainer},
    {"comm", GroupField::kComm},
};

int64_t Fit(uint64_t time) {
  return static_cast<int64_t>(
      std::min(time, static_cast<uint64_t>(std::numeric_limits<int64_t>::max())));
}

std::vector<TextMatch> Matches(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::vector<TextMatch> matches;
  for (const std::string& text : texts) {
    const bool prefix = absl::EndsWith(text, "*");
    matches.push_back({prefix ? text.substr(0, text.size() - 1) : text, prefix});
  }
  return matches;
}

absl::Status CheckWindow(const v1::Filter& filter) {
  if (filter.has_since_ns() && filter.has_until_ns() && filter.since_ns() >= filter.until_ns()) {
    return absl::InvalidArgumentError("filter: 'since' is not before 'until'");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<EventFilter> FilterOf(const v1::Filter& filter) {
  RETURN_IF_ERROR(CheckWindow(filter));
  const int values = filter.hosts_size() + filter.users_size() + filter.uids_size() +
                     filter.exes_size() + filter.scripts_size() + filter.destinations_size() +
                     filter.ports_size() + filter.verdicts_size() + filter.rules_size() +
                     filter.kinds_size();
  if (values > kMaxFilterValues) {
    return absl::InvalidArgumentError(
        absl::StrCat("filter: ", values, " values; at most ", kMaxFilterValues, " are taken"));
  }
  EventFilter checked;
  if (filter.has_since_ns()) checked.window.since = Fit(filter.since_ns());
  if (filter.has_until_ns()) checked.window.until = Fit(filter.until_ns());
  checked.hosts.assign(filter.hosts().begin(), filter.hosts().end());
  // A host named twice would be walked twice.
  std::sort(checked.hosts.begin(), checked.hosts.end());
  checked.hosts.erase(std::unique(checked.hosts.begin(), checked.hosts.end()), checked.hosts.end());
  checked.users.assign(filter.users().begin(), filter.users().end());
  checked.uids.assign(filter.uids().begin(), filter.uids().end());
  checked.exes = Matches(filter.exes());
  checked.scripts = Matches(filter.scripts());
  for (const std::string& destination : filter.destinations()) {
    const std::vector<AddressRange> ranges = ParseRanges(destination);
    if (ranges.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("filter: destination '", absl::CHexEscape(destination),
                       "' is neither an address nor a CIDR like 192.0.2.0/24"));
    }
    checked.destinations.insert(checked.destinations.end(), ranges.begin(), ranges.end());
  }
  for (const uint32_t port : filter.ports()) {
    if (port == 0 || port > 65535) {
      return absl::InvalidArgumentError(
          absl::StrCat("filter: port ", port, " is not between 1 and 65535"));
    }
    checked.ports.push_back(port);
  }
  for (const int verdict : filter.verdicts()) {
    if (verdict == v1::Event::VERDICT_UNSPECIFIED || !v1::Event::Verdict_IsValid(verdict)) {
      return absl::InvalidArgumentError(absl::StrCat("filter: no verdict has number ", verdict));
    }
    checked.verdicts.push_back(verdict);
  }
  checked.rules.assign(filter.rules().begin(), filter.rules().end());
  checked.canaries = filter.canaries();
  for (const int kind : filter.kinds()) {
    if (kind == v1::Event::KIND_UNSPECIFIED || !v1::Event::Kind_IsValid(kind)) {
      return absl::InvalidArgumentError(absl::StrCat("filter: no kind has number ", kind));
    }
    checked.kinds.push_back(kind);
    checked.canaries = checked.canaries || kind == v1::Event::CANARY;
  }
  return checked;
}

absl::StatusOr<std::vector<GroupField>> GroupFieldsOf(const v1::GroupRequest& request) {
  if (request.fields().empty()) return absl::InvalidArgumentError("group: name at least one field");
  std::vector<GroupField> fields;
  for (const std::string& name : request.fields()) {
    const auto* found = std::find_if(std::begin(kGroupFields), std::end(kGroupFields),
                                     [&](const auto& known) { return known.first == name; });
    if (found == std::end(kGroupFields)) {
      const std::string known = absl::StrJoin(
          kGroupFields, ", ",
          [](std::string* out, const auto& field) { absl::StrAppend(out, field.first); });
      return absl::InvalidArgumentError(absl::StrCat(
          "group: cannot group by '", absl::CHexEscape(name), "'; fields are ", known));
    }
    if (std::find(fields.begin(), fields.end(), found->second) != fields.end()) {
      return absl::InvalidArgumentError(absl::StrCat("group: field '", name, "' is given twice"));
    }
    fields.push_back(found->second);
  }
  return fields;
}

}  // namespace postern::server
