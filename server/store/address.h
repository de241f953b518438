// SPDX-License-Identifier: Apache-2.0
// Addresses as they are stored: IPv4 as a number, IPv6 as 16 bytes, so that every
// CIDR is one range of either.
#ifndef POSTERN_SERVER_STORE_ADDRESS_H_
#define POSTERN_SERVER_STORE_ADDRESS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/address.h"

namespace postern::server {

// Both ends included.
struct AddressRange {
  Address first;
  Address last;
};

// An address or a CIDR ("10.0.0.0/8"; bits below the mask do not matter). An
// IPv6 CIDR around ::ffff:0:0/96 does not mean IPv4, hence up to two ranges.
// Empty for what is neither.
std::vector<AddressRange> ParseRanges(absl::string_view text);

// Of an IPv4 address; nullopt for IPv6.
std::optional<int64_t> Ipv4Number(const Address& address);
Address Ipv4FromNumber(int64_t number);

// Of 16 bytes; nullopt for any other number of them.
std::optional<Address> AddressFromBytes(absl::string_view bytes);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_ADDRESS_H_
