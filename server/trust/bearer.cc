// SPDX-License-Identifier: Apache-2.0
#include "server/trust/bearer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/tls/certificate.h"

namespace postern::server {
namespace {

bool MatchesOneOf(const std::vector<std::string>& patterns, absl::string_view name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return MatchesPattern(pattern, name); });
}

// None where the URIs give no role, or more than one.
std::optional<Bearer> ByUris(const tls::Names& names) {
  std::optional<Bearer> bearer;
  std::vector<std::string> hosts;
  for (const std::string& uri : names.uris) {
    absl::string_view rest = uri;
    if (absl::ConsumePrefix(&rest, tls::kHostUri)) {
      hosts.emplace_back(rest);
      continue;
    }
    const bool agent = absl::ConsumePrefix(&rest, tls::kAgentUri);
    if (!agent && !absl::ConsumePrefix(&rest, tls::kOperatorUri)) continue;
    if (bearer.has_value()) return std::nullopt;
    bearer.emplace();
    bearer->role = agent ? pki::Role::kAgent : pki::Role::kOperator;
    bearer->name = std::string(rest);
    bearer->by_postern = true;
  }
  if (!bearer.has_value() || bearer->name.empty()) return std::nullopt;
  bearer->exact = bearer->role == pki::Role::kAgent;
  if (bearer->exact) {
    bearer->hosts = {bearer->name};
  } else {
    bearer->hosts = std::move(hosts);
  }
  return bearer;
}

bool HasUriOfOurs(const tls::Names& names) {
  return std::any_of(names.uris.begin(), names.uris.end(),
                     [](const std::string& uri) { return absl::StartsWith(uri, "postern:"); });
}

std::optional<Bearer> ByRules(const tls::Names& names, const std::vector<RoleRule>& rules) {
  for (const RoleRule& rule : rules) {
    for (const std::string& name : names.names) {
      if (!MatchesPattern(rule.name, name)) continue;
      Bearer bearer;
      bearer.role = rule.role;
      bearer.name = name;
      bearer.hosts = rule.hosts;
      bearer.exact = rule.role == pki::Role::kAgent && rule.hosts.empty();
      if (bearer.exact) bearer.hosts = names.names;
      return bearer;
    }
  }
  return std::nullopt;
}

}  // namespace

bool MatchesPattern(absl::string_view pattern, absl::string_view name) {
  // Where a '*' began, and how much of the name it stands for so far.
  size_t star = absl::string_view::npos;
  size_t taken = 0;
  size_t p = 0;
  size_t n = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool Bearer::MayUse(absl::string_view host) const {
  if (!role.has_value()) return false;
  if (hosts.empty()) return role == pki::Role::kOperator;
  return exact ? std::find(hosts.begin(), hosts.end(), host) != hosts.end()
               : MatchesOneOf(hosts, host);
}

std::string Bearer::Title() const {
  if (!role.has_value()) return absl::StrCat("somebody without a certificate at ", address);
  return absl::StrCat(pki::RoleName(*role), " ", name);
}

std::optional<Bearer> BearerOf(X509& certificate, const std::vector<RoleRule>& rules) {
  const tls::Names names = tls::NamesOf(certificate);
  // Fails closed: it may have bound its owner.
  if (names.unreadable_uri) return std::nullopt;
  std::optional<Bearer> bearer;
  if (HasUriOfOurs(names)) {
    bearer = ByUris(names);
    if (!bearer.has_value()) return std::nullopt;
    for (const RoleRule& rule : rules) {
      if (rule.role != bearer->role || !MatchesPattern(rule.name, bearer->name)) continue;
      if (rule.hosts.empty()) break;
      bearer->hosts = rule.hosts;
      bearer->exact = false;
      break;
    }
  } else {
    bearer = ByRules(names, rules);
    if (!bearer.has_value()) return std::nullopt;
  }
  bearer->since = tls::NotBefore(certificate);
  bearer->until = tls::NotAfter(certificate);
  return bearer;
}

}  // namespace postern::server
