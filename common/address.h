// SPDX-License-Identifier: Apache-2.0
// Addresses and prefixes as people write them: "192.0.2.25", "2001:db8::/32".
//
// Pure functions, safe from any thread. Errors are InvalidArgument and say what is
// wrong, to stand behind the text that was refused.
#ifndef POSTERN_COMMON_ADDRESS_H_
#define POSTERN_COMMON_ADDRESS_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace postern {

// In network order; IPv4 as ::ffff:a.b.c.d.
using Address = std::array<uint8_t, 16>;

struct Prefix {
  // As written: host bits are not cleared.
  Address address = {};
  uint32_t bits = 128;  // of all 128, for IPv4 too
  bool written_as_ipv4 = false;
};

// Of the 16 bytes of an address.
bool IsIpv4Mapped(const uint8_t* address);

absl::StatusOr<Address> ParseAddress(absl::string_view text);
// An address alone is a prefix of all its bits.
absl::StatusOr<Prefix> ParsePrefix(absl::string_view text);

std::string FormatAddress(const Address& address);

}  // namespace postern

#endif  // POSTERN_COMMON_ADDRESS_H_
