// SPDX-License-Identifier: Apache-2.0
#include "cli/query_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "cli/command.h"
#include "common/address.h"
#include "common/event_json.h"
#include "common/nearest_name.h"
#include "common/status.h"

namespace postern::cli {
namespace {

constexpr uint64_t kDay = 86'400'000'000'000;

constexpr std::array<absl::string_view, 12> kGroupFields = {
    "host", "user",    "uid",  "exe",  "script",    "destination",
    "port", "verdict", "rule", "unit", "container", "comm"};

// Ok, or the same error with the option that it concerns in front.
absl::Status Naming(absl::string_view option, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(option, ": ", status.message()));
}

absl::StatusOr<uint32_t> ParseNumber(absl::string_view option, const std::string& text,
                                     uint32_t low, uint32_t high) {
  uint32_t number = 0;
  const bool digits =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || !absl::SimpleAtoi(text, &number) || number < low || number > high) {
    return absl::InvalidArgumentError(
        absl::StrCat(option, ": \"", text, "\" is not a number from ", low, " to ", high));
  }
  return number;
}

// An IPv6 address may stand in brackets, as it does before a port.
std::string WithoutBrackets(const std::string& text) {
  const bool bracketed = text.size() > 2 && text.front() == '[' && text.back() == ']' &&
                         text.find(':') != std::string::npos;
  return bracketed ? text.substr(1, text.size() - 2) : text;
}

absl::StatusOr<std::string> ReadNetwork(const std::string& text) {
  if (CheckAddressAndPort(text).ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--to: \"", text,
                                                   "\" names a port too; ask for that by --port ",
                                                   text.substr(text.rfind(':') + 1)));
  }
  const size_t slash = std::min(text.find('/'), text.size());
  std::string network = WithoutBrackets(text.substr(0, slash)) + text.substr(slash);
  if (ParsePrefix(network).ok()) return network;
  return absl::InvalidArgumentError(
      absl::StrCat("--to: \"", text,
                   "\" is not an address or network; write it like 192.0.2.25, "
                   "192.0.2.0/24 or 2001:db8::/32"));
}

// Ok for a path, and for the beginning of one with a * behind it.
absl::Status CheckPath(absl::string_view option, const std::string& text) {
  const size_t star = text.find('*');
  if (star == std::string::npos || star + 1 == text.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(option, ": \"", text,
                   "\" has a * that is not at its end, where alone it stands for anything; write "
                   "it like /usr/bin/php*"));
}

// "; the nearest is …"
std::string Nearest(const std::string& text, const std::vector<absl::string_view>& known) {
  return absl::StrCat("; the nearest is ", NearestName(text, known));
}

std::string ShownTime(uint64_t time_ns, Zone zone) {
  return absl::StrCat(FormatShortTime(time_ns, zone), " ", ZoneName(zone, time_ns));
}

}  // namespace

SoFar SoFarOf(uint64_t since_ns, uint64_t until_ns, uint64_t now_ns, Zone zone) {
  // What is recorded now still belongs to it.
  if (until_ns <= now_ns + 1) return {until_ns, ""};
  if (since_ns > now_ns) {
    return {until_ns, absl::StrCat(", of which nothing has happened yet: it is ",
                                   FormatShortTime(now_ns, zone))};
  }
  return {now_ns + 1, absl::StrCat(", up to now, ", FormatShortTime(now_ns, zone),
                                   ": later has not happened yet")};
}

void QueryOptions::AddTo(CLI::App& app) {
  const auto one = [&app](const char* name, std::string& value, const char* metavar,
                          const char* text) {
    return app.add_option(name, value, text)->option_text(metavar)->group("Time");
  };
  const auto several = [&app](const char* name, std::vector<std::string>& values,
                              const char* metavar, const char* text) {
    app.add_option(name, values, text)
        ->option_text(metavar)
        ->group("Which attempts (each may be given more than once)")
        ->type_size(1)
        ->allow_extra_args(false);
  };
  CLI::Option* since = one("--since", since_, "TIME", "from this time on");
  CLI::Option* until = one("--until", until_, "TIME", "before this time");
  CLI::Option* at = one("--at", at_, "TIME", "around this time");
  CLI::Option* window =
      one("--window", window_, "DURATION", "with --at: plus or minus, 15m if absent")->needs(at);
  times_ = {since, until, at, window};
  at->excludes(since)->excludes(until);
  several("--host", hosts_, "HOST", "made on this host");
  several("--user", users_, "USER", "by this user, by name (or number, if it has none)");
  several("--uid", uids_, "UID", "by this user, by number");
  several("--exe", exes_, "PATH", "by this binary; * at the end: a prefix");
  several("--script", scripts_, "PATH", "by this script; * at the end: a prefix");
  several("--to", destinations_, "CIDR", "to this address or network");
  several("--port", ports_, "PORT", "to this port");
  several("--verdict", verdicts_, "VERDICT", "allowed, denied, would_deny, …");
  several("--rule", rules_, "RULE", "decided by this rule");
  several("--kind", kinds_, "KIND", "connect, raw_socket, …; all if absent");
  app.add_flag("--canary", canaries_, "with the agents' own proofs that denials work")
      ->group("Answer");
}

absl::Status QueryOptions::CheckGiven() const {
  for (const CLI::Option* option : times_) {
    if (option->count() == 0) continue;
    RETURN_IF_ERROR(CheckAsked(option->get_name(), option->as<std::string>()));
  }
  return absl::OkStatus();
}

absl::Status QueryOptions::CheckTexts() const {
  for (const auto& [option, texts] :
       {std::pair("--host", &hosts_), std::pair("--user", &users_), std::pair("--exe", &exes_),
        std::pair("--script", &scripts_), std::pair("--rule", &rules_)}) {
    for (const std::string& text : *texts) RETURN_IF_ERROR(CheckAsked(option, text));
  }
  return absl::OkStatus();
}

absl::StatusOr<TimeRange> QueryOptions::Range(uint64_t now_ns, Zone zone) const {
  RETURN_IF_ERROR(CheckGiven());
  TimeRange range;
  if (!at_.empty()) {
    const absl::StatusOr<uint64_t> at = ParseTime(at_, now_ns);
    RETURN_IF_ERROR(Naming("--at", at.status()));
    const std::string window_text = window_.empty() ? "15m" : window_;
    const absl::StatusOr<uint64_t> window = ParseDuration(window_text);
    RETURN_IF_ERROR(Naming("--window", window.status()));
    range.since_ns = *at - std::min(*at, *window);
    // The far end belongs to it too.
    range.until_ns = std::min<uint64_t>(*at + *window + 1, std::numeric_limits<int64_t>::max());
    range.text = absl::StrCat("from ", FormatShortTime(*range.since_ns, zone), " to ",
                              ShownTime(*at + *window, zone));
  } else {
    if (!since_.empty()) {
      const absl::StatusOr<uint64_t> since = ParseTime(since_, now_ns);
      RETURN_IF_ERROR(Naming("--since", since.status()));
      range.since_ns = *since;
      range.text = absl::StrCat("since ", ShownTime(*since, zone));
    }
    if (!until_.empty()) {
      const absl::StatusOr<uint64_t> until = ParseTime(until_, now_ns);
      RETURN_IF_ERROR(Naming("--until", until.status()));
      range.until_ns = *until;
      range.text = absl::StrCat("before ", ShownTime(*until, zone));
    }
    if (range.since_ns && range.until_ns) {
      range.text = absl::StrCat("from ", FormatShortTime(*range.since_ns, zone), " to ",
                                ShownTime(*range.until_ns, zone));
    }
  }
  if (range.since_ns && range.until_ns && *range.since_ns >= *range.until_ns) {
    return absl::InvalidArgumentError(
        absl::StrCat("--since ", since_, " is not before --until ", until_,
                     *range.since_ns == *range.until_ns
                         ? ": no time lies between them; --at asks for the time around one"
                         : "; swap them"));
  }
  if (!range.since_ns && !range.until_ns) {
    range.since_ns = now_ns - std::min(now_ns, kDay);
    range.text = absl::StrCat("of the last 24 hours, since ", ShownTime(*range.since_ns, zone),
                              " (--since, --until and --at choose another time)");
  }
  if (range.until_ns) {
    absl::StrAppend(&range.text,
                    SoFarOf(range.since_ns.value_or(0), *range.until_ns, now_ns, zone).text);
  }
  if (range.since_ns) {
    const auto year = [zone](uint64_t time_ns) {
      return FormatShortTime(time_ns, zone).substr(0, 4);
    };
    const std::string first = year(*range.since_ns);
    if (first == year(range.until_ns.value_or(now_ns))) range.year = atoi(first.c_str());
  }
  return range;
}

absl::StatusOr<v1::Filter> QueryOptions::Filter(const TimeRange& range) const {
  RETURN_IF_ERROR(CheckTexts());
  v1::Filter filter;
  if (range.since_ns) filter.set_since_ns(*range.since_ns);
  if (range.until_ns) filter.set_until_ns(*range.until_ns);
  for (const std::string& host : hosts_) filter.add_hosts(host);
  for (const std::string& user : users_) filter.add_users(user);
  for (const std::string& text : uids_) {
    ASSIGN_OR_RETURN(const uint32_t uid, ParseNumber("--uid", text, 0, 0xffffffff));
    filter.add_uids(uid);
  }
  for (const std::string& exe : exes_) {
    RETURN_IF_ERROR(CheckPath("--exe", exe));
    filter.add_exes(exe);
  }
  for (const std::string& script : scripts_) {
    RETURN_IF_ERROR(CheckPath("--script", script));
    filter.add_scripts(script);
  }
  for (const std::string& destination : destinations_) {
    ASSIGN_OR_RETURN(std::string network, ReadNetwork(destination));
    filter.add_destinations(std::move(network));
  }
  for (const std::string& text : ports_) {
    ASSIGN_OR_RETURN(const uint32_t port, ParseNumber("--port", text, 1, 65535));
    filter.add_ports(port);
  }
  for (const std::string& text : verdicts_) {
    const std::optional<v1::Event::Verdict> verdict = VerdictFromName(text);
    if (!verdict) {
      std::vector<std::string> known;
      known.reserve(kVerdicts.size());
      for (const v1::Event::Verdict each : kVerdicts) known.push_back(VerdictName(each));
      return absl::InvalidArgumentError(absl::StrCat("--verdict: \"", text, "\" is not one of ",
                                                     absl::StrJoin(known, ", "),
                                                     Nearest(text, {known.begin(), known.end()})));
    }
    filter.add_verdicts(*verdict);
  }
  for (const std::string& rule : rules_) filter.add_rules(rule);
  filter.set_canaries(canaries_);
  for (const std::string& text : kinds_) {
    const std::optional<v1::Event::Kind> kind = KindFromName(text);
    if (!kind) {
      std::vector<std::string> known;
      known.reserve(kKinds.size());
      for (const v1::Event::Kind each : kKinds) known.push_back(KindName(each));
      return absl::InvalidArgumentError(absl::StrCat("--kind: \"", text, "\" is not one of ",
                                                     absl::StrJoin(known, ", "),
                                                     Nearest(text, {known.begin(), known.end()})));
    }
    filter.add_kinds(*kind);
  }
  return filter;
}

absl::Status CheckAddressAndPort(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon != std::string::npos) {
    const bool bracketed = colon >= 2 && text[0] == '[' && text[colon - 1] == ']';
    const std::string address = bracketed ? text.substr(1, colon - 2) : text.substr(0, colon);
    const bool ipv6 = address.find(':') != std::string::npos;
    if (ParseAddress(address).ok() && ipv6 == bracketed &&
        ParseNumber("", text.substr(colon + 1), 1, 65535).ok()) {
      return absl::OkStatus();
    }
  }
  if (const std::string inner = WithoutBrackets(text); ParseAddress(inner).ok()) {
    const bool ipv6 = inner.find(':') != std::string::npos;
    return absl::InvalidArgumentError(
        absl::StrCat("--to: \"", text, "\" names no port; write it like ",
                     ipv6 ? absl::StrCat("[", inner, "]") : inner, ":25"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--to: \"", text,
                   "\" is not ADDRESS:PORT; write it like 192.0.2.25:25 or "
                   "[2001:db8::25]:25"));
}

absl::StatusOr<uint32_t> ParseLimit(const std::string& text) {
  uint32_t limit = 0;
  const bool digits = std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
  if (!digits || !absl::SimpleAtoi(text, &limit)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--limit: \"", text, "\" is not a number of rows; 0 means all"));
  }
  return limit;
}

absl::StatusOr<std::vector<std::string>> ReadGroupFields(const std::vector<std::string>& texts) {
  std::vector<std::string> fields;
  for (const std::string& text : texts) {
    for (const absl::string_view field : absl::StrSplit(text, ',')) {
      fields.emplace_back(absl::StripAsciiWhitespace(field));
    }
  }
  for (const std::string& field : fields) {
    if (field.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--group-by: a field is missing; there are ",
                                                     absl::StrJoin(kGroupFields, ", ")));
    }
    if (std::find(kGroupFields.begin(), kGroupFields.end(), field) == kGroupFields.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--group-by: \"", field, "\" is not one of ", absl::StrJoin(kGroupFields, ", "),
          Nearest(field, {kGroupFields.begin(), kGroupFields.end()})));
    }
    if (std::count(fields.begin(), fields.end(), field) > 1) {
      return absl::InvalidArgumentError(absl::StrCat("--group-by: \"", field, "\" is named twice"));
    }
  }
  return fields;
}

}  // namespace postern::cli
