// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_show.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "agent/mode_override.h"
#include "agent/policy/unit_path.h"

namespace postern::agent {
namespace {

std::string ActionName(uint32_t action) {
  switch (action) {
    case POSTERN_ACTION_ALLOW:
      return "allow";
    case POSTERN_ACTION_DENY:
      return "deny";
    case POSTERN_ACTION_REDIRECT:
      return "redirect";
    default:
      return absl::StrCat(action);
  }
}

std::string ErrnoName(uint32_t error) {
  switch (error) {
    case EPERM:
      return "EPERM";
    case ECONNREFUSED:
      return "ECONNREFUSED";
    case EHOSTUNREACH:
      return "EHOSTUNREACH";
    default:
      return absl::StrCat(error);
  }
}

std::vector<std::string> TextsOf(const std::vector<policy::Account>& accounts) {
  std::vector<std::string> texts;
  for (const policy::Account& account : accounts) {
    const std::string id = absl::StrCat(account.id);
    texts.push_back(account.text == id ? id : absl::StrCat(account.text, " (", id, ")"));
  }
  return texts;
}

void AddField(absl::string_view prefix, absl::string_view name, std::vector<std::string> values,
              v1::PolicyRule& rule) {
  if (values.empty()) return;
  v1::PolicyField* field = rule.add_fields();
  field->set_name(absl::StrCat(prefix, name));
  for (std::string& value : values) field->add_values(std::move(value));
}

void AddCriteria(absl::string_view prefix, const policy::Criteria& criteria, v1::PolicyRule& rule) {
  AddField(prefix, "user", TextsOf(criteria.users), rule);
  AddField(prefix, "group", TextsOf(criteria.groups), rule);
  std::vector<std::string> exes;
  for (const policy::BinaryPath& exe : criteria.exes) exes.push_back(exe.path);
  AddField(prefix, "exe", std::move(exes), rule);
  AddField(prefix, "started_as", TextsOf(criteria.started_as), rule);
  std::vector<std::string> units;
  for (const policy::UnitPath& unit : criteria.units) units.push_back(policy::ToString(unit));
  AddField(prefix, "unit", std::move(units), rule);
  std::vector<std::string> scripts;
  for (const policy::ScriptPath& script : criteria.scripts) scripts.push_back(script.path);
  AddField(prefix, "script", std::move(scripts), rule);
  std::vector<std::string> destinations;
  if (criteria.destination_local) destinations.push_back("local");
  for (const policy::Cidr& cidr : criteria.destinations) destinations.push_back(cidr.text);
  AddField(prefix, "destination", std::move(destinations), rule);
  std::vector<std::string> ports;
  for (const policy::PortNumber& number : criteria.ports) {
    ports.push_back(absl::StrCat(number.port));
  }
  AddField(prefix, "port", std::move(ports), rule);
}

void AddRule(const policy::Rule& of, v1::PolicyRule& rule) {
  rule.set_name(of.name);
  if (of.limit.has_value()) rule.set_limit(of.limit->text);
  AddCriteria("", of, rule);
  AddCriteria("not ", of.excluded, rule);
  if (of.container.has_value()) {
    AddField("", "container", {*of.container ? "true" : "false"}, rule);
  }
  if (of.user_namespace.has_value()) {
    AddField("", "user_namespace",
             {*of.user_namespace == policy::UserNamespace::kAny ? "any" : "initial"}, rule);
  }
}

// "user postfix (105) or 1000"
std::string FieldText(const v1::PolicyField& field) {
  // A rule may name thousands of networks, and its line is recorded with each reload.
  constexpr int kMostValues = 16;
  const int shown = std::min(field.values_size(), kMostValues);
  std::string text =
      absl::StrCat(field.name(), " ",
                   absl::StrJoin(field.values().begin(), field.values().begin() + shown, " or "));
  if (shown < field.values_size()) {
    absl::StrAppend(&text, " or ", field.values_size() - shown, " more");
  }
  return text;
}

}  // namespace

v1::ShowPolicyResponse ShowPolicy(const sensor::HeldPolicy& held, const policy::Config& config) {
  v1::ShowPolicyResponse response;
  const postern_policy_header& header = held.header;
  response.set_generation(header.generation);
  response.set_mode(
      ModeName(header.enforce != 0 ? policy::Mode::kEnforce : policy::Mode::kMonitor));
  response.set_default_action(ActionName(header.default_action));
  response.set_deny_errno(ErrnoName(header.deny_errno));
  for (const uint16_t port : held.ports) response.add_ports(port);
  for (size_t i = 0; i < header.rules && i < POSTERN_RULES; ++i) {
    v1::PolicyRule& rule = *response.add_rules();
    if (i < config.rules.size()) {
      AddRule(config.rules[i], rule);
    } else {
      rule.set_name(absl::StrCat("#", i));
    }
    rule.set_action(ActionName(header.action[i]));
    rule.set_hits(held.hits[i]);
  }
  response.set_default_hits(held.hits[POSTERN_RULES]);
  for (const std::string& difference : held.differences) response.add_differences(difference);
  return response;
}

std::vector<std::string> PolicyLines(const v1::ShowPolicyResponse& policy) {
  std::vector<std::string> lines = {absl::StrCat("ports ", absl::StrJoin(policy.ports(), ", "),
                                                 "; what is denied fails with ",
                                                 policy.deny_errno())};
  for (const v1::PolicyRule& rule : policy.rules()) {
    std::vector<std::string> fields;
    for (const v1::PolicyField& field : rule.fields()) fields.push_back(FieldText(field));
    lines.push_back(absl::StrCat(
        rule.name(), ": ", rule.action(), " ",
        fields.empty() ? std::string("anything") : absl::StrJoin(fields, ", "),
        rule.limit().empty() ? std::string() : absl::StrCat(", at most ", rule.limit())));
  }
  lines.push_back(absl::StrCat("default: ", policy.default_action(), " whatever no rule matches"));
  return lines;
}

}  // namespace postern::agent
