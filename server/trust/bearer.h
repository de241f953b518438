// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a connection over TLS, by the certificate it showed,
// and what that lets it do.
#ifndef POSTERN_SERVER_TRUST_BEARER_H_
#define POSTERN_SERVER_TRUST_BEARER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/pki/revocations.h"
#include "common/tls/openssl.h"

namespace postern::server {

// Whether `name` is one that `pattern` stands for: itself, or with '*' for any
// characters.
bool MatchesPattern(absl::string_view pattern, absl::string_view name);

// A line of `roles:` in the configuration.
struct RoleRule {
  std::string name;  // a pattern
  pki::Role role = pki::Role::kAgent;
  // Patterns. Empty: an agent's own names; an operator may read all.
  std::vector<std::string> hosts;
};

struct Bearer {
  // None: it showed no certificate, and may do nothing but enrol.
  std::optional<pki::Role> role;
  std::string name;
  std::string address;  // it came from, without the port
  // Hosts that it may write or read; empty: all (operators only).
  std::vector<std::string> hosts;
  // They are the certificate's own names: a '*' in one stands for nothing else.
  bool exact = false;
  bool by_postern = false;  // its names are those that Postern's CA gives
  absl::Time since;
  absl::Time until;

  bool MayUse(absl::string_view host) const;
  // "agent web1.example.net"; all that goes by this is counted together.
  std::string Title() const;
};

// What a certificate that was verified makes of its owner; none where it gives no
// role. A certificate with Postern's URIs is what they say; a rule of the same role
// binds it to the rule's hosts. Others are what the first rule says that matches
// one of their names.
std::optional<Bearer> BearerOf(X509& certificate, const std::vector<RoleRule>& rules);

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_BEARER_H_
