// SPDX-License-Identifier: Apache-2.0
// `postern query`: what the collector has on record.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/collector_client.h"
#include "cli/command.h"
#include "cli/completeness.h"
#include "cli/event_table.h"
#include "cli/json.h"
#include "cli/query_options.h"
#include "cli/table.h"
#include "cli/text.h"
#include "common/event_json.h"
#include "common/status.h"
#include "common/time_text.h"

namespace postern::cli {
namespace {

// Nobody reads more on a terminal; elsewhere there is no limit unless asked for.
constexpr uint32_t kTerminalLimit = 1000;
// Rows laid out together: enough that columns rarely change their width,
// few enough that an answer of any size takes little memory.
constexpr size_t kChunk = 1000;

Json GroupJson(const std::vector<std::string>& fields, const v1::Group& group) {
  Json json = Json::object();
  json["kind"] = "group";
  for (int i = 0; i < group.values_size() && i < static_cast<int>(fields.size()); ++i) {
    const std::string& field = fields[static_cast<size_t>(i)];
    const std::string& value = group.values(i);
    uint32_t number = 0;
    // Numbers in events are numbers here too.
    if ((field == "uid" || field == "port") && absl::SimpleAtoi(value, &number)) {
      json[field] = number;
    } else {
      SetText(json, field.c_str(), value);
    }
  }
  json["count"] = group.count();
  SetTime(json, "first", group.first_ns());
  SetTime(json, "last", group.last_ns());
  return json;
}

// What the rows were grouped by is left out last of all.
Column GroupColumn(const std::string& field) {
  Column column{.heading = absl::AsciiStrToUpper(field), .importance = 10, .cut = Cut::kMiddle};
  column.right = field == "uid" || field == "port";
  column.below = field == "exe" || field == "script" || field == "destination" || field == "unit" ||
                 field == "container";
  if (column.below) {
    column.least = 16;
  } else if (!column.right && field != "verdict") {
    column.least = 8;
  }
  return column;
}

class QueryCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    const Zone zone = local_ ? Zone::kLocal : Zone::kUtc;
    ASSIGN_OR_RETURN(fields_, ReadGroupFields(group_by_));
    const uint64_t now_ns = console.now();
    ASSIGN_OR_RETURN(const TimeRange range, options_.Range(now_ns, zone));
    ASSIGN_OR_RETURN(v1::Filter filter, options_.Filter(range));
    ASSIGN_OR_RETURN(const uint32_t limit, Limit(console));
    ASSIGN_OR_RETURN(Endpoint endpoint, collector_.ToEndpoint());
    ASSIGN_OR_RETURN(const std::unique_ptr<CollectorClient> client,
                     CollectorClient::Create(std::move(endpoint)));
    if (!json_) {
      console.out << Wrap("Attempts " + range.text,
                          console.width.value_or(std::numeric_limits<size_t>::max()), 2)
                  << '\n';
    }
    absl::StatusOr<v1::Completeness> completeness;
    if (fields_.empty()) {
      v1::FindRequest request;
      *request.mutable_filter() = std::move(filter);
      request.set_limit(limit);
      completeness = Find(console, *client, request, range, zone);
    } else {
      v1::GroupRequest request;
      *request.mutable_filter() = std::move(filter);
      for (const std::string& field : fields_) request.add_fields(field);
      request.set_limit(limit);
      completeness = Group(console, *client, request, range, zone);
    }
    RETURN_IF_ERROR(completeness.status());
    if (json_) {
      Json json = CompletenessJson(*completeness);
      SetTime(json, "since", range.since_ns.value_or(0));
      if (range.until_ns) {
        SetTime(json, "until",
                SoFarOf(range.since_ns.value_or(0), *range.until_ns, now_ns, zone).until_ns);
      }
      WriteJson(console.out, json);
    } else {
      PrintCompleteness(console.out, *completeness, zone, console.width, limit);
    }
    return completeness->complete() ? ExitCode::kAnswered : ExitCode::kIncomplete;
  }

  QueryOptions options_;
  CollectorOptions collector_;
  std::vector<std::string> group_by_;
  std::string limit_;
  bool json_ = false;
  bool local_ = false;

 private:
  absl::StatusOr<uint32_t> Limit(const Console& console) const {
    if (limit_.empty()) return console.width && !json_ ? kTerminalLimit : 0;
    return ParseLimit(limit_);
  }

  absl::StatusOr<v1::Completeness> Find(Console& console, CollectorClient& client,
                                        const v1::FindRequest& request, const TimeRange& range,
                                        Zone zone) const {
    EventTable::Options options;
    options.zone = zone;
    options.width = console.width;
    // In a file the whole date stands in every row.
    if (console.width) options.year = range.year;
    EventTable table(options);
    bool any = false;
    auto completeness = client.Find(request, [&](const v1::Event& event) {
      any = true;
      if (json_) {
        WriteJsonText(console.out, EventToJson(event));
      } else {
        table.Add(event);
        if (table.pending() >= kChunk) table.Print(console.out);
      }
      return static_cast<bool>(console.out);
    });
    if (table.pending() > 0) table.Print(console.out);
    table.PrintLeftOut(console.out);
    if (completeness.ok() && !any && !json_) console.out << "None matched.\n";
    return completeness;
  }

  absl::StatusOr<v1::Completeness> Group(Console& console, CollectorClient& client,
                                         const v1::GroupRequest& request, const TimeRange& range,
                                         Zone zone) const {
    std::vector<Column> columns;
    for (const std::string& field : fields_) columns.push_back(GroupColumn(field));
    columns.push_back({.heading = "ATTEMPTS", .importance = 9, .right = true});
    std::string of = absl::StrCat(" ", ZoneName(zone, console.now()));
    const bool year_is_known = console.width && range.year;
    if (year_is_known) absl::StrAppend(&of, " ", *range.year);
    columns.push_back({.heading = "FIRST" + of, .importance = 1});
    columns.push_back({.heading = "LAST" + of, .importance = 2});
    const auto time = [&](uint64_t time_ns) {
      const std::string text = FormatShortTime(time_ns, zone);
      return year_is_known ? text.substr(sizeof("2026-") - 1) : text;
    };
    Table table(std::move(columns), console.width);
    bool any = false;
    auto completeness = client.Group(request, [&](const v1::Group& group) {
      any = true;
      if (json_) {
        WriteJson(console.out, GroupJson(fields_, group));
        return static_cast<bool>(console.out);
      }
      std::vector<std::string> cells;
      for (const std::string& value : group.values()) cells.push_back(value.empty() ? "-" : value);
      cells.resize(fields_.size());
      cells.push_back(absl::StrCat(group.count()));
      cells.push_back(time(group.first_ns()));
      cells.push_back(time(group.last_ns()));
      table.AddRow(std::move(cells));
      if (table.pending() >= kChunk) table.Print(console.out);
      return static_cast<bool>(console.out);
    });
    if (table.pending() > 0) table.Print(console.out);
    table.PrintLeftOut(console.out);
    if (completeness.ok() && !any && !json_) console.out << "None matched.\n";
    return completeness;
  }

  std::vector<std::string> fields_;  // of `group_by_`
};

}  // namespace

std::unique_ptr<Command> AddQueryCommand(CLI::App& root) {
  auto command = std::make_unique<QueryCommand>();
  CLI::App* app = command->app =
      root.add_subcommand("query", "Attempts that the collector has on record");
  command->options_.AddTo(*app);
  app->add_option("--group-by", command->group_by_,
                  "count attempts by host, user, uid, exe,\nscript, destination, port, verdict, "
                  "rule,\nunit, container, comm")
      ->option_text("FIELD,...")
      ->type_size(1)
      ->allow_extra_args(false)
      ->group("Answer");
  app->add_option("--limit", command->limit_, "rows at most; 0: all. If absent 1000 on\na terminal")
      ->option_text("N")
      ->group("Answer");
  app->add_flag("--json", command->json_, "one JSON object a line")->group("Answer");
  app->add_flag("--local", command->local_, "print times in the local zone, not UTC")
      ->group("Answer");
  command->collector_.AddTo(*app);
  app->footer(
      "TIME is ISO 8601, UTC unless it names a zone, or -2h, -7d, now. Without one: the\n"
      "last 24 hours. Newest first; the last line says whether the record is complete\n"
      "for that time, which begins with a host's first report. Exit code 3: answered,\n"
      "but it is not complete.\n\n"
      "Examples:\n"
      "  postern query --at '2026-03-01 14:30' --window 15m\n"
      "  postern query --since -7d --verdict denied --verdict would_deny\n"
      "  postern query --since -7d --group-by user,exe,verdict --limit 20\n"
      "  postern query --exe '/usr/bin/php*' --to 192.0.2.0/24 --port 25 --json");
  return command;
}

}  // namespace postern::cli
