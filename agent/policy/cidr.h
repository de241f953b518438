// SPDX-License-Identifier: Apache-2.0
// Networks of a rule as text: "192.0.2.0/24", "2001:db8::/32", or one address.
#ifndef POSTERN_AGENT_POLICY_CIDR_H_
#define POSTERN_AGENT_POLICY_CIDR_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/policy/config.h"
#include "common/address.h"

namespace postern::policy {

// InvalidArgument says what is wrong, and for host bits that are set, which
// network was probably meant.
absl::StatusOr<Cidr> ParseCidr(absl::string_view text);

// Every address of `inner` is one of `outer`. Families are apart: ::/0 is all
// of IPv6 and none of IPv4.
bool Covers(const Cidr& outer, const Cidr& inner);
bool Contains(const Cidr& cidr, const Address& address);

// "192.0.2.0/24": from the bytes, not from what was written.
std::string ToString(const Cidr& cidr);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_CIDR_H_
