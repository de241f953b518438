// SPDX-License-Identifier: Apache-2.0
#include "cli/completeness.h"

#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "cli/text.h"
#include "common/event_json.h"

namespace postern::cli {
namespace {

// More than these on a terminal would hide the rows they belong to.
constexpr int kMostLines = 20;

constexpr absl::string_view kUnknownNumber = "an unknown number of events";

std::string ReasonText(v1::Gap::Reason reason) {
  switch (reason) {
    case v1::Gap::RING_DENIED_FULL:
      return "the kernel's ring for denied attempts was full";
    case v1::Gap::RING_OTHER_FULL:
      return "the kernel's ring for other attempts was full";
    case v1::Gap::REPEATS_FULL:
      return "the kernel's table of repeats was full";
    case v1::Gap::SPOOL_FULL:
      return "the agent's spool was full";
    case v1::Gap::UNREADABLE:
      return "the agent could not read them";
    case v1::Gap::SPOOL_CORRUPT:
      return "the agent's spool was damaged or removed";
    case v1::Gap::STORE_DAMAGED:
      return "a file of the collector's store was damaged and set aside";
    case v1::Gap::EXPIRED:
      return "older than the collector keeps";
    case v1::Gap::NOT_WATCHED:
      return "nothing was watched, the agent's hooks were released or the machine was off";
    case v1::Gap::NOT_KEPT:
      return "the agent's spool no longer has them, or there was no agent yet";
    case v1::Gap::ELSEWHERE:
      return "the agent delivered them to another collector, or this store is an older copy";
    case v1::Gap::NO_COLLECTOR:
      return "the agent had no collector, they are in its own log";
    default:
      return absl::StrCat("reason ", GapReasonName(reason));
  }
}

std::string TimeText(uint64_t time_ns, Zone zone) {
  return absl::StrCat(FormatShortTime(time_ns, zone), " ", ZoneName(zone, time_ns));
}

}  // namespace

std::string GapText(const v1::Gap& gap, Zone zone) {
  if (gap.reason() == v1::Gap::NOT_REPORTED) {
    return absl::StrCat("no agent had reported before ", TimeText(gap.to_ns(), zone));
  }
  if (gap.reason() == v1::Gap::NOT_ARRIVED) {
    return absl::StrCat("events from ", TimeText(gap.from_ns(), zone), " on have not arrived yet");
  }
  if (gap.reason() == v1::Gap::CLOCK_SET) {
    return absl::StrCat("the clock was set: events between ", FormatShortTime(gap.from_ns(), zone),
                        " and ", TimeText(gap.to_ns(), zone), " may lie under another time");
  }
  const std::string events =
      gap.count() > 0 ? Count(gap.count(), "event") : std::string(kUnknownNumber);
  return absl::StrCat(events, " missing between ", FormatShortTime(gap.from_ns(), zone), " and ",
                      TimeText(gap.to_ns(), zone), ": ", ReasonText(gap.reason()));
}

void PrintCompleteness(std::ostream& out, const v1::Completeness& completeness, Zone zone,
                       std::optional<size_t> width, uint32_t limit) {
  const size_t columns = width.value_or(std::numeric_limits<size_t>::max());
  int lines = 0;
  for (const v1::HostGap& gap : completeness.gaps()) {
    if (width && ++lines > kMostLines) {
      out << "… and " << Count(static_cast<uint64_t>(completeness.gaps_size() - kMostLines), "gap")
          << " more; --json lists all\n";
      break;
    }
    out << Wrap(Printable(absl::StrCat(gap.host(), ": ", GapText(gap.gap(), zone))), columns, 2)
        << '\n';
  }
  if (completeness.silent_hosts_size() > 0) {
    out << Wrap(Printable(absl::StrCat("Not heard of up to the end of this time: ",
                                       absl::StrJoin(completeness.silent_hosts(), ", "))),
                columns, 2)
        << '\n';
  }
  if (completeness.unknown_hosts_size() > 0) {
    out << Wrap(Printable(absl::StrCat("This collector knows no such host: ",
                                       absl::StrJoin(completeness.unknown_hosts(), ", "))),
                columns, 2)
        << '\n';
  }
  if (completeness.truncated()) {
    out << (limit > 0
                ? "More rows matched than are shown; raise --limit, or 0 for all.\n"
                : "More rows matched than one answer holds; name a host or a shorter time.\n");
  }
  if (completeness.complete()) {
    out << "The record is complete for this time.\n";
    return;
  }
  std::vector<std::string> reasons;
  bool uncounted = false;
  bool clock_set = false;
  for (const v1::HostGap& gap : completeness.gaps()) {
    const bool misplaced = gap.gap().reason() == v1::Gap::CLOCK_SET;
    clock_set = clock_set || misplaced;
    uncounted = uncounted || (!misplaced && gap.gap().count() == 0);
  }
  if (completeness.missing() > 0 && uncounted) {
    reasons.push_back(
        absl::StrCat("at least ", Count(completeness.missing(), "event"), " missing"));
  } else if (uncounted) {
    reasons.push_back(absl::StrCat(kUnknownNumber, " missing"));
  } else if (completeness.missing() > 0) {
    reasons.push_back(absl::StrCat(Count(completeness.missing(), "event"), " missing"));
  }
  if (clock_set) reasons.push_back("a clock was set");
  if (completeness.silent_hosts_size() > 0) {
    reasons.push_back(absl::StrCat(
        Count(static_cast<uint64_t>(completeness.silent_hosts_size()), "host"), " silent"));
  }
  if (completeness.unknown_hosts_size() > 0) {
    reasons.push_back(absl::StrCat(
        Count(static_cast<uint64_t>(completeness.unknown_hosts_size()), "host"), " unknown"));
  }
  // None can be named then.
  if (reasons.empty()) reasons.push_back("this collector knows of no agent");
  out << Wrap(absl::StrCat(
                  "The record is NOT complete for this time: ", absl::StrJoin(reasons, ", "), "."),
              columns, 2)
      << "\n";
}

Json CompletenessJson(const v1::Completeness& completeness) {
  Json json = Json::object();
  json["kind"] = "completeness";
  json["complete"] = completeness.complete();
  json["missing"] = completeness.missing();
  Json& silent = json["silent_hosts"] = Json::array();
  for (const std::string& host : completeness.silent_hosts()) silent.push_back(host);
  Json& unknown = json["unknown_hosts"] = Json::array();
  for (const std::string& host : completeness.unknown_hosts()) unknown.push_back(host);
  json["truncated"] = completeness.truncated();
  Json& gaps = json["gaps"] = Json::array();
  for (const v1::HostGap& gap : completeness.gaps()) {
    Json entry = Json::object();
    entry["host"] = gap.host();
    SetTime(entry, "from", gap.gap().from_ns());
    SetTime(entry, "to", gap.gap().to_ns());
    entry["count"] = gap.gap().count();
    SetText(entry, "reason", GapReasonName(gap.gap().reason()));
    gaps.push_back(std::move(entry));
  }
  return json;
}

}  // namespace postern::cli
