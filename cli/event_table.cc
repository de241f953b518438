// SPDX-License-Identifier: Apache-2.0
#include "cli/event_table.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/completeness.h"
#include "common/event_json.h"
#include "common/event_kind.h"

namespace postern::cli {

std::string DestinationText(const v1::Event& event) {
  if (IsRaw(event.kind())) {
    return absl::StrCat(KindName(event.kind()), ": ", event.family(), " ", event.protocol());
  }
  const std::string port = absl::StrCat(
      ":", event.port(), event.kind() == v1::Event::EARLIER_CONNECTION ? " (earlier)" : "");
  if (event.destinations_not_kept()) return absl::StrCat("(several)", port);
  if (event.destination().empty()) return absl::StrCat("?", port);
  if (absl::StrContains(event.destination(), ':')) {
    return absl::StrCat("[", event.destination(), "]", port);
  }
  return absl::StrCat(event.destination(), port);
}

std::string UserText(const v1::Event& event) {
  if (!event.user().empty()) return event.user();
  return event.has_uid() ? absl::StrCat(event.uid()) : "?";
}

std::string BinaryText(const v1::Event& event) {
  std::string binary = event.exe().empty() ? absl::StrCat("(", event.comm(), ")") : event.exe();
  if (event.exe().empty() && event.comm().empty()) binary = "?";
  if (event.exe_cut()) binary = absl::StrCat("…", binary);
  if (event.exe_unlinked()) absl::StrAppend(&binary, " [deleted]");
  if (!event.script().empty()) absl::StrAppend(&binary, " (", event.script(), ")");
  return binary;
}

void EventTable::Print(std::ostream& out) {
  const bool first = !table_;
  if (first) table_.emplace(MakeTable());
  for (const v1::Event& event : pending_) AddTo(*table_, event);
  pending_.clear();
  if (first && options_.live) table_->PrintLeftOut(out);
  table_->Print(out);
}

void EventTable::PrintLeftOut(std::ostream& out) {
  if (table_) table_->PrintLeftOut(out);
}

Table EventTable::MakeTable() const {
  bool several_hosts = false;
  for (const v1::Event& event : pending_) {
    several_hosts = several_hosts || event.host() != pending_.front().host();
  }
  const uint64_t any_time = pending_.empty() ? 0 : pending_.front().time_ns();
  std::string time = absl::StrCat("TIME ", ZoneName(options_.zone, any_time));
  if (options_.year) absl::StrAppend(&time, " ", *options_.year);
  const auto typical = [this](size_t width) { return options_.live ? width : 0; };
  std::vector<Column> columns;
  columns.push_back({.heading = time, .importance = 100});
  columns.push_back({.heading = "HOST", .importance = 60, .least = 8, .spare = !several_hosts});
  columns.push_back({.heading = "VERDICT", .importance = 95, .typical = typical(10)});
  columns.push_back({.heading = "USER",
                     .importance = 80,
                     .least = 8,
                     .cut = Cut::kMiddle,
                     .typical = typical(8)});
  columns.push_back({.heading = "PID", .importance = 75, .right = true, .typical = typical(7)});
  columns.push_back({.heading = "EXE (SCRIPT)",
                     .importance = 90,
                     .least = 20,
                     .cut = Cut::kMiddle,
                     .below = true,
                     .typical = typical(36)});
  columns.push_back({.heading = "DESTINATION",
                     .importance = 85,
                     .least = 16,
                     .cut = Cut::kMiddle,
                     .below = true,
                     .typical = typical(21)});
  columns.push_back({.heading = "RULE", .importance = 30, .least = 7, .typical = typical(7)});
  columns.push_back({.heading = "TIMES", .importance = 70, .right = true, .typical = typical(5)});
  return Table(std::move(columns), options_.width);
}

std::string EventTable::TimeCell(uint64_t time_ns) const {
  const std::string time = FormatShortTime(time_ns, options_.zone);
  // Whoever watches knows the year.
  const bool short_date = options_.year || (options_.live && options_.width);
  return short_date ? time.substr(sizeof("2026-") - 1) : time;
}

void EventTable::AddTo(Table& table, const v1::Event& event) const {
  const std::string time = TimeCell(event.time_ns());
  // A canary that was denied is an attempt like others; one that failed has a message.
  const bool canary = event.kind() == v1::Event::CANARY && event.message().empty();
  if (!IsAttempt(event.kind()) && !canary) {
    std::string line = time;
    if (!options_.live && !event.host().empty()) absl::StrAppend(&line, "  ", event.host());
    absl::StrAppend(&line, "  ", KindName(event.kind()), ": ",
                    event.has_gap() ? GapText(event.gap(), options_.zone) : event.message());
    table.AddLine(std::move(line));
    return;
  }
  table.AddRow({time, options_.live ? "" : event.host(), VerdictName(event.verdict()),
                UserText(event), event.has_pid() ? absl::StrCat(event.pid()) : "",
                BinaryText(event), DestinationText(event), canary ? "(canary)" : event.rule(),
                event.repeats() > 0 ? absl::StrCat("×", event.repeats() + 1) : ""});
}

}  // namespace postern::cli
