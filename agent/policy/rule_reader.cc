// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/rule_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "agent/policy/cidr.h"
#include "agent/policy/script_path.h"
#include "agent/policy/unit_path.h"

namespace postern::policy {
namespace {

constexpr absl::string_view kKeys[] = {
    "name",      "user",           "group",  "exe",  "started_as", "destination", "port",
    "container", "user_namespace", "action", "unit", "script",     "not",         "limit"};
// Of `not:`. What has two values only is not in need of it.
constexpr absl::string_view kNotKeys[] = {"user", "group",  "exe",         "started_as",
                                          "unit", "script", "destination", "port"};

constexpr size_t kNameBytesMax = 64;

// Past this a limit is none.
constexpr uint64_t kLimitMax = 1'000'000;

// Names go into events, tables and state files as single words.
bool IsRuleName(absl::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
                  c == '-';
         });
}

std::string ReadName(YamlReader& reader, const YAML::Node& node) {
  const auto name = reader.Text(node, "name");
  if (!name.has_value()) {
    if (!YamlReader::Has(node, "name")) {
      reader.AddFault(node, "a rule has no name: give it one, events are shown with it");
    }
    return "";
  }
  if (!IsRuleName(name->text)) {
    reader.AddFault(name->line,
                    absl::StrCat("a rule's name has 1 to ", kNameBytesMax,
                                 " of the characters A-Z a-z 0-9 . _ -; this one has others"));
    return "";
  }
  if (name->text == "default") {
    reader.AddFault(name->line,
                    "no rule can be named 'default': events name so what no rule matched");
  }
  return name->text;
}

std::vector<Account> ReadAccounts(YamlReader& reader, const YAML::Node& node,
                                  absl::string_view key) {
  RefuseEmptyList(reader, node, key);
  std::vector<Account> accounts;
  for (YamlText& text : reader.Texts(node, key)) {
    Account account{std::move(text.text), Account::kUnresolved, text.line};
    const bool number = std::all_of(account.text.begin(), account.text.end(), [](char c) {
      return absl::ascii_isdigit(static_cast<unsigned char>(c));
    });
    if (number &&
        (!absl::SimpleAtoi(account.text, &account.id) || account.id == Account::kUnresolved)) {
      reader.AddFault(account.line, absl::StrCat("'", key, "' ", account.text,
                                                 " is past the largest id, 4294967294"));
      continue;
    }
    accounts.push_back(std::move(account));
  }
  return accounts;
}

void ReadDestinations(YamlReader& reader, const YAML::Node& node, Criteria& criteria) {
  RefuseEmptyList(reader, node, "destination");
  for (const YamlText& text : reader.Texts(node, "destination")) {
    if (text.text == "local") {
      criteria.destination_local = true;
      continue;
    }
    auto cidr = ParseCidr(text.text);
    if (!cidr.ok()) {
      reader.AddFault(text.line,
                      absl::StrCat("destination '", text.text, "' ", cidr.status().message(),
                                   "; a destination is 'local' or a network"));
      continue;
    }
    cidr->line = text.line;
    criteria.destinations.push_back(*std::move(cidr));
  }
}

void ReadUnits(YamlReader& reader, const YAML::Node& node, Criteria& criteria) {
  RefuseEmptyList(reader, node, "unit");
  for (const YamlText& text : reader.Texts(node, "unit")) {
    auto unit = ParseUnitPath(text.text);
    if (!unit.ok()) {
      reader.AddFault(text.line, absl::StrCat("unit '", text.text, "' ", unit.status().message()));
      continue;
    }
    unit->line = text.line;
    criteria.units.push_back(*std::move(unit));
  }
}

void ReadScripts(YamlReader& reader, const YAML::Node& node, Criteria& criteria) {
  RefuseEmptyList(reader, node, "script");
  for (YamlText& text : reader.Texts(node, "script")) {
    if (const absl::Status checked = CheckScriptPath(text.text); !checked.ok()) {
      reader.AddFault(text.line, absl::StrCat("script '", text.text, "' ", checked.message()));
      continue;
    }
    criteria.scripts.push_back({std::move(text.text), text.line});
  }
}

void ReadCriteria(YamlReader& reader, const YAML::Node& node, Criteria& criteria) {
  criteria.users = ReadAccounts(reader, node, "user");
  criteria.groups = ReadAccounts(reader, node, "group");
  criteria.started_as = ReadAccounts(reader, node, "started_as");
  RefuseEmptyList(reader, node, "exe");
  for (YamlText& text : reader.Texts(node, "exe")) {
    criteria.exes.push_back({std::move(text.text), text.line});
  }
  ReadUnits(reader, node, criteria);
  ReadScripts(reader, node, criteria);
  ReadDestinations(reader, node, criteria);
  RefuseEmptyList(reader, node, "port");
  for (const YamlNumber& number : reader.Numbers(node, "port", 1, 65535)) {
    criteria.ports.push_back({static_cast<uint16_t>(number.value), number.line});
  }
}

void ReadExcluded(YamlReader& reader, const YAML::Node& node, Rule& rule) {
  if (!YamlReader::Has(node, "not")) return;
  const YAML::Node excluded = YamlReader::Get(node, "not");
  if (!reader.CheckMap(excluded, "'not'", kNotKeys)) return;
  if (excluded.size() == 0) {
    reader.AddFault(YamlReader::KeyLine(node, "not"),
                    "'not' excludes nothing: name what the rule shall not match, or leave it out");
  }
  ReadCriteria(reader, excluded, rule.excluded);
}

void ReadAction(YamlReader& reader, const YAML::Node& node, Rule& rule) {
  const auto action = reader.Choice(node, "action", {"allow", "deny", "redirect"});
  if (!action.has_value()) {
    if (!YamlReader::Has(node, "action")) {
      reader.AddFault(node, "a rule has no action: write 'action: allow', 'deny' or 'redirect'");
    }
    return;
  }
  rule.action = action->text == "allow"      ? POSTERN_ACTION_ALLOW
                : action->text == "redirect" ? POSTERN_ACTION_REDIRECT
                                             : POSTERN_ACTION_DENY;
}

// "100/h". Anything else is a fault.
void ReadLimit(YamlReader& reader, const YAML::Node& node, Rule& rule) {
  const auto text = reader.Text(node, "limit");
  if (!text.has_value()) return;
  static constexpr std::pair<absl::string_view, absl::Duration> kUnits[] = {{"s", absl::Seconds(1)},
                                                                            {"m", absl::Minutes(1)},
                                                                            {"h", absl::Hours(1)},
                                                                            {"d", absl::Hours(24)}};
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text->text, absl::MaxSplits('/', 1));
  const auto unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                 [&](const auto& known) { return known.first == parts.second; });
  Limit limit;
  limit.text = text->text;
  const bool digits = std::all_of(parts.first.begin(), parts.first.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
  if (unit == std::end(kUnits) || !digits || !absl::SimpleAtoi(parts.first, &limit.count) ||
      limit.count > kLimitMax) {
    reader.AddFault(text->line, absl::StrCat("'limit' is a number up to ", kLimitMax,
                                             " a second, minute, hour or day, such as 100/h; not '",
                                             text->text, "'"));
    return;
  }
  if (limit.count == 0) {
    reader.AddFault(text->line, "a limit of 0 lets nobody through: write 'action: deny' instead");
    return;
  }
  limit.per = unit->second;
  rule.limit = std::move(limit);
}

void ReadFields(YamlReader& reader, const YAML::Node& node, Rule& rule) {
  rule.name = ReadName(reader, node);
  ReadCriteria(reader, node, rule);
  ReadExcluded(reader, node, rule);
  rule.container = reader.Bool(node, "container");
  if (const auto any = reader.Choice(node, "user_namespace", {"initial", "any"})) {
    rule.user_namespace = any->text == "any" ? UserNamespace::kAny : UserNamespace::kInitial;
  }
  ReadAction(reader, node, rule);
  ReadLimit(reader, node, rule);
}

}  // namespace

void RefuseEmptyList(YamlReader& reader, const YAML::Node& map, absl::string_view key) {
  const YAML::Node node = YamlReader::Get(map, key);
  if (node.IsDefined() && node.IsSequence() && node.size() == 0) {
    reader.AddFault(YamlReader::KeyLine(map, key),
                    absl::StrCat("'", key,
                                 "' is an empty list, which nothing can match: fill "
                                 "it, or leave the key out"));
  }
}

Rule ReadRule(YamlReader& reader, const YAML::Node& node) {
  Rule rule;
  rule.line = YamlReader::Line(node);
  const size_t faults = reader.fault_count();
  if (reader.CheckMap(node, "a rule", kKeys)) ReadFields(reader, node, rule);
  rule.faulty = reader.fault_count() > faults;
  if (!rule.faulty && rule.limit.has_value() && rule.action == POSTERN_ACTION_DENY) {
    reader.AddFault(YamlReader::KeyLine(node, "limit"),
                    "a rule that denies needs no limit: past it everything is denied anyway");
    rule.faulty = true;
  }
  return rule;
}

}  // namespace postern::policy
